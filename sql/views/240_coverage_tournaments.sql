create view palimpsest.coverage_tournaments as
with latest as (
    select c.cycle_id from palimpsest.coverage_cycles c where c.is_latest
),
by_platform as (
    select
        tournament_key,
        jsonb_object_agg(platform, fixtures) as fixtures_by_platform,
        max(fixtures) filter (where platform = 'betpawa') as betpawa,
        max(fixtures) filter (where platform = 'sportybet') as sportybet,
        max(fixtures) filter (where platform = 'bet9ja') as bet9ja,
        array_agg(platform order by platform) filter (where fixtures is null) as not_looked_at
    from palimpsest.coverage_tournament_platforms
    group by tournament_key
)
select
    t.tournament_key,
    t.sport,
    t.country,
    t.display_name as tournament,
    t.n_home + t.n_platform - t.n_matched as total,
    t.n_matched as matched,
    t.n_home_only as home_only,
    t.n_platform_only as competitor_only,
    t.n_undetermined as undetermined,
    b.fixtures_by_platform,
    b.betpawa,
    b.sportybet,
    b.bet9ja,
    coalesce(b.not_looked_at, '{}') as not_looked_at,
    t.n_unidentified as unidentified_listings,
    round(t.n_home::numeric / nullif(t.n_home + t.n_platform - t.n_matched, 0), 8) as listed_by_home_rate,
    t.home_covered_rate,
    t.fixture_match_rate,
    t.platform_gap as home_lacks_tournament,
    t.home_gap as competitors_lack_tournament,
    t.earliest_missing_kickoff as next_missing_kickoff,
    t.missing_sr_ids,
    t.home_platform,
    t.cycle_id,
    t.as_of
from mart.coverage_tournament t
join latest using (cycle_id)
join by_platform b using (tournament_key)
where t.platform = 'any' and not t.include_started;

comment on view palimpsest.coverage_tournaments is 'Coverage of upcoming fixtures by tournament, with a column for each of three platforms (fixtures_by_platform has all), as of the latest cycle in coverage_cycles; coverage_tournament_platforms has all platforms. Key: tournament_key.';
comment on column palimpsest.coverage_tournaments.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.coverage_tournaments.country is 'Country; null when no platform gives one.';
comment on column palimpsest.coverage_tournaments.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.coverage_tournaments.total is 'Fixtures of all platforms together.';
comment on column palimpsest.coverage_tournaments.matched is 'Fixtures on home and on a competitor.';
comment on column palimpsest.coverage_tournaments.home_only is 'Fixtures known to be on home only.';
comment on column palimpsest.coverage_tournaments.competitor_only is 'Fixtures known to be missing on home.';
comment on column palimpsest.coverage_tournaments.undetermined is 'Fixtures whose class is unknown because a platform could not be observed.';
comment on column palimpsest.coverage_tournaments.fixtures_by_platform is 'Number of fixtures on each platform, as a JSON object by platform name; the value is null for a platform that could not be observed.';
comment on column palimpsest.coverage_tournaments.betpawa is 'Fixtures on BetPawa; null when it could not be observed.';
comment on column palimpsest.coverage_tournaments.sportybet is 'Fixtures on SportyBet; null when it could not be observed.';
comment on column palimpsest.coverage_tournaments.bet9ja is 'Fixtures on Bet9ja; null when it could not be observed.';
comment on column palimpsest.coverage_tournaments.not_looked_at is 'Platforms that could not be observed; usually none.';
comment on column palimpsest.coverage_tournaments.unidentified_listings is 'Listings of all platforms without a SportRadar id. No other count includes them.';
comment on column palimpsest.coverage_tournaments.listed_by_home_rate is 'Fixtures on home / total, in [0, 1]: the share of the tournament that home lists.';
comment on column palimpsest.coverage_tournaments.home_covered_rate is 'matched / fixtures on home, in [0, 1]; null when home has none. It is the share of home''s fixtures that a competitor also has, and does not show how many home lacks.';
comment on column palimpsest.coverage_tournaments.fixture_match_rate is 'matched / fixtures on competitors, in [0, 1]; null when they have none.';
comment on column palimpsest.coverage_tournaments.home_lacks_tournament is 'True when competitors have fixtures here and home has none.';
comment on column palimpsest.coverage_tournaments.competitors_lack_tournament is 'True when home has fixtures here and no competitor has any.';
comment on column palimpsest.coverage_tournaments.next_missing_kickoff is 'Next kickoff among fixtures that home lacks; null without one.';
comment on column palimpsest.coverage_tournaments.missing_sr_ids is 'SportRadar ids of the fixtures that home lacks, sorted.';
