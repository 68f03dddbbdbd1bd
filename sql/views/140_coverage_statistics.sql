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
comment on column palimpsest.coverage_statistics.total is 'Row ''all'': fixtures of all platforms. Row of a platform: fixtures that it lists.';
comment on column palimpsest.coverage_statistics.matched is 'Row ''all'': fixtures on home and a competitor. Row of a platform: fixtures on home and there (row of home: and on a competitor).';
comment on column palimpsest.coverage_statistics.match_rate is 'matched / total, in [0, 1]; null without fixtures.';
comment on column palimpsest.coverage_statistics.evidence is 'complete, carried (an earlier discovery is used) or partial.';
