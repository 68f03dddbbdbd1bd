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

comment on view palimpsest.coverage_cycles is 'Cycles for which coverage is computed, and the one that the coverage views show. Key: cycle_id.';
comment on column palimpsest.coverage_cycles.scope is 'full, or recorded: imported answers.';
comment on column palimpsest.coverage_cycles.home_platform is 'Home platform for which it was computed.';
comment on column palimpsest.coverage_cycles.as_of is 'Instant that its coverage describes.';
comment on column palimpsest.coverage_cycles.is_latest is 'True for the cycle that the coverage views show: the newest full cycle, or the newest recorded one if there is no full one.';
