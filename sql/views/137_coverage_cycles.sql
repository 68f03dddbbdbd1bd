create view palimpsest.coverage_cycles as
with covered as not materialized (
    select c.cycle_id, c.scope, c.home_platform, c.as_of
    from core.cycles c
    where exists (select from mart.match_rate_platform r where r.cycle_id = c.cycle_id)
)
select
    c.cycle_id,
    c.scope,
    c.home_platform,
    c.as_of,
    c.cycle_id = coalesce(
        (select x.cycle_id from covered x where x.scope = 'full' order by x.cycle_id desc limit 1),
        (select x.cycle_id from covered x where x.scope = 'recorded' order by x.cycle_id desc limit 1)
    ) as is_latest
from covered c;

comment on view palimpsest.coverage_cycles is 'Cycles that coverage is computed as of, and which of them coverage now rests on. Key: cycle_id.';
comment on column palimpsest.coverage_cycles.cycle_id is 'Cycle.';
comment on column palimpsest.coverage_cycles.scope is 'full; recorded: imported payloads.';
comment on column palimpsest.coverage_cycles.home_platform is 'Home platform it was computed for.';
comment on column palimpsest.coverage_cycles.as_of is 'Instant that its coverage is about.';
comment on column palimpsest.coverage_cycles.is_latest is 'Coverage now is that of it: the newest full cycle, or the newest recorded one where there is no full one.';
