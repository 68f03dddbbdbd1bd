create view palimpsest.scrape_batches as
select
    b.cycle_id as id,
    b.trigger,
    b.scope,
    b.sr_ids,
    b.slot_at,
    b.home_platform,
    b.partition_hour,
    b.run_id,
    b.status,
    b.started_at,
    b.heartbeat_at,
    b.finished_at,
    coalesce(
        (
            select string_agg(
                r.platform || ' ' || case r.status when 'completed' then 'ok' else r.status end, ', '
                order by r.platform <> b.home_platform, k.trust_rank nulls last, r.platform
            )
            from ops.scrape_runs r
            left join ops.platforms k using (platform)
            where r.cycle_id = b.cycle_id
        ),
        b.status
    ) as summary
from ops.scrape_batches b;

comment on view palimpsest.scrape_batches is 'One row per cycle (one scrape of all platforms) with its trigger, scope and status. Key: id.';
comment on column palimpsest.scrape_batches.scope is 'Scope. full; kickoff: fixtures that kick off soon; events: requested fixtures; recorded: imported answers.';
comment on column palimpsest.scrape_batches.summary is 'Status of each platform, so far while the cycle runs, e.g. betpawa ok, sportybet ok, bet9ja failed.';
