create view palimpsest.coverage_tournament_platforms as
with latest as (
    select c.cycle_id from palimpsest.coverage_cycles c where c.is_latest
)
select
    t.tournament_key,
    t.platform,
    -- 0 is only known if the platform was observed: with home fixtures, none is undetermined; else its discovery is not partial.
    case when t.n_platform > 0 or (case when t.n_home > 0 then t.n_undetermined = 0 else r.evidence <> 'partial' end) then t.n_platform end as fixtures,
    t.cycle_id,
    t.as_of
from mart.coverage_tournament t
join latest using (cycle_id)
join mart.match_rate_platform r using (cycle_id, platform, include_started)
where not t.include_started
union all
select t.tournament_key, t.home_platform, case when t.n_home > 0 or t.n_undetermined = 0 then t.n_home end, t.cycle_id, t.as_of
from mart.coverage_tournament t
join latest using (cycle_id)
where t.platform = 'any' and not t.include_started;

comment on view palimpsest.coverage_tournament_platforms is 'Upcoming fixtures of each tournament on each platform, as of the latest cycle in coverage_cycles. Key: tournament_key, platform.';
comment on column palimpsest.coverage_tournament_platforms.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.coverage_tournament_platforms.platform is 'Platform, home or a competitor.';
comment on column palimpsest.coverage_tournament_platforms.fixtures is 'Fixtures that the platform lists; null: it could not be observed.';
comment on column palimpsest.coverage_tournament_platforms.cycle_id is 'Cycle.';
comment on column palimpsest.coverage_tournament_platforms.as_of is 'Instant the row is about.';
