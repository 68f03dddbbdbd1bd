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

comment on view palimpsest.gaps is 'Current markets that home and a competitor do not both offer, of fixtures that both list or have listed and that have not begun. Key: sr_id, market_key, specifier, platform.';
comment on column palimpsest.gaps.sr_id is 'SportRadar id.';
comment on column palimpsest.gaps.home_team is 'Home side in the chosen claim.';
comment on column palimpsest.gaps.away_team is 'Away side in the chosen claim.';
comment on column palimpsest.gaps.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.gaps.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.gaps.country is 'Country; null when no platform gives one.';
comment on column palimpsest.gaps.kickoff is 'Effective kickoff.';
comment on column palimpsest.gaps.platform is 'Competitor compared with home.';
comment on column palimpsest.gaps.gap_type is 'home_missing: the competitor offers the market, home lacks it; platform_missing: the reverse; home_suspended_only: the competitor offers it, home lists it suspended or without a price; platform_suspended_only: the reverse; both: neither offers it; unknown: one was not observed when the other was.';
comment on column palimpsest.gaps.market_key is 'Market of the vocabulary.';
comment on column palimpsest.gaps.market is 'Its display name.';
comment on column palimpsest.gaps.specifier is 'Canonical specifier; '''' when the market has none.';
comment on column palimpsest.gaps.market_priority is 'Position in PALIMPSEST_MAIN_MARKETS, from 1; null for other markets.';
comment on column palimpsest.gaps.home_platform is 'Home platform for which it was computed.';
comment on column palimpsest.gaps.home_state is 'State on home; null when home never showed the market.';
comment on column palimpsest.gaps.platform_state is 'State on the competitor; null when the competitor never showed the market.';
comment on column palimpsest.gaps.gap_open_since is 'Time from which both are in these states; null when unknown.';
comment on column palimpsest.gaps.gap_minutes is 'From gap_open_since to as_of, minutes.';
comment on column palimpsest.gaps.home_state_since is 'Time of the answer that began home''s state; null when home never showed the market.';
comment on column palimpsest.gaps.platform_state_since is 'Time of the answer that began the competitor''s state; null when the competitor never showed the market.';
comment on column palimpsest.gaps.never_offered_home is 'True when no answer of home has ever shown the market.';
comment on column palimpsest.gaps.never_offered_platform is 'True when no answer of the competitor has ever shown the market.';
comment on column palimpsest.gaps.minutes_to_kickoff is 'From as_of to the effective kickoff, minutes.';
comment on column palimpsest.gaps.as_of is 'Time of the latest answer of any platform about the fixture. Nothing later was known.';
comment on column palimpsest.gaps.mapping_version is 'Version of the market vocabulary.';
