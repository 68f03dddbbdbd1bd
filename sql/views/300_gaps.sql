create view palimpsest.gaps as
select
    g.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    g.platform,
    g.gap_type,
    g.market_key,
    g.market,
    g.specifier,
    g.market_priority,
    g.home_platform,
    g.home_state,
    g.platform_state,
    g.gap_open_since,
    g.gap_minutes,
    g.home_state_since,
    g.platform_state_since,
    g.never_offered_home,
    g.never_offered_platform,
    g.minutes_to_kickoff,
    g.as_of,
    g.mapping_version
from palimpsest.compared_gaps g
join palimpsest.upcoming_fixtures f using (sr_id);

comment on view palimpsest.gaps is 'Markets that home and a competitor do not both offer, as things stand, of fixtures that both list or have listed and that have not begun. Key: sr_id, market_key, specifier, platform.';
comment on column palimpsest.gaps.sr_id is 'SportRadar id.';
comment on column palimpsest.gaps.home_team is 'Home side of the chosen claim.';
comment on column palimpsest.gaps.away_team is 'Away side of the chosen claim.';
comment on column palimpsest.gaps.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.gaps.tournament is 'Tournament name: home''s, else by trust.';
comment on column palimpsest.gaps.country is 'Country; null when nobody gives one.';
comment on column palimpsest.gaps.kickoff is 'Effective kickoff.';
comment on column palimpsest.gaps.platform is 'Competitor compared with home.';
comment on column palimpsest.gaps.gap_type is 'home_missing, platform_missing: one offers it, the other lacks it; home_suspended_only, platform_suspended_only: it lists it, suspended or without a price; both: neither offers it; unknown: one was not looked at when the other was.';
comment on column palimpsest.gaps.market_key is 'Market of the vocabulary.';
comment on column palimpsest.gaps.market is 'Its name for people.';
comment on column palimpsest.gaps.specifier is 'Canonical specifier; '''' when the market has none.';
comment on column palimpsest.gaps.market_priority is 'Place in PALIMPSEST_MAIN_MARKETS, from 1; null for other markets.';
comment on column palimpsest.gaps.home_platform is 'Home platform it was computed for.';
comment on column palimpsest.gaps.home_state is 'State on home; null: never seen there.';
comment on column palimpsest.gaps.platform_state is 'State on the competitor; null: never seen there.';
comment on column palimpsest.gaps.gap_open_since is 'Since when both are in these states; null when unknown.';
comment on column palimpsest.gaps.gap_minutes is 'From gap_open_since to as_of, minutes.';
comment on column palimpsest.gaps.home_state_since is 'Answer since which home stands so; null: never seen there.';
comment on column palimpsest.gaps.platform_state_since is 'Answer since which the competitor stands so; null: never seen there.';
comment on column palimpsest.gaps.never_offered_home is 'No answer of home has ever shown it.';
comment on column palimpsest.gaps.never_offered_platform is 'No answer of the competitor has ever shown it.';
comment on column palimpsest.gaps.minutes_to_kickoff is 'From as_of to the effective kickoff, minutes.';
comment on column palimpsest.gaps.as_of is 'Latest answer of any platform on the fixture: nothing later was known.';
comment on column palimpsest.gaps.mapping_version is 'Version of the market vocabulary.';
