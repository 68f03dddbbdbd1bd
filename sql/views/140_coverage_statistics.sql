create view palimpsest.coverage_statistics as
select
    m.cycle_id,
    m.as_of,
    m.platform,
    m.home_platform,
    case when m.platform = 'all' then m.n_union else m.n_fixtures end as total,
    m.n_matched_fixtures as matched,
    m.n_home_only as home_only,
    m.n_competitor_only as competitor_only,
    m.n_undetermined as undetermined,
    case when m.platform = 'all' then m.overall_match_rate else m.fixture_match_rate end as match_rate,
    m.evidence
from mart.match_rate_platform m
where not m.include_started and m.cycle_id = (select c.cycle_id from palimpsest.coverage_cycles c where c.is_latest);

comment on view palimpsest.coverage_statistics is 'Coverage of upcoming fixtures, overall and per platform, as of the latest cycle in coverage_cycles. Key: platform.';
comment on column palimpsest.coverage_statistics.cycle_id is 'Cycle.';
comment on column palimpsest.coverage_statistics.as_of is 'Instant the row is about.';
comment on column palimpsest.coverage_statistics.platform is 'Platform; ''all'' is all of them together.';
comment on column palimpsest.coverage_statistics.home_platform is 'Home platform it was computed for.';
comment on column palimpsest.coverage_statistics.total is 'Fixtures: of all platforms in the row ''all'', else those the platform lists.';
comment on column palimpsest.coverage_statistics.matched is 'Fixtures on home and a competitor; platform row: on home and here (home row: on some competitor too).';
comment on column palimpsest.coverage_statistics.home_only is 'Fixtures known to be on home only; platform row: on home and known to be missing here.';
comment on column palimpsest.coverage_statistics.competitor_only is 'Fixtures known to be missing on home; platform row: those of them listed here.';
comment on column palimpsest.coverage_statistics.undetermined is 'Fixtures whose class is unknown, since a platform could not be looked at.';
comment on column palimpsest.coverage_statistics.match_rate is 'matched / total, in [0, 1]; null without fixtures.';
comment on column palimpsest.coverage_statistics.evidence is 'complete, carried (an earlier discovery stands in) or partial.';
