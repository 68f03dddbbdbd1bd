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
comment on column palimpsest.scrape_batches.id is 'Id of the cycle: the digits of its UTC start time to the millisecond.';
comment on column palimpsest.scrape_batches.trigger is 'Trigger: scheduled, sensor, manual, on_demand or import.';
comment on column palimpsest.scrape_batches.scope is 'Scope. full; kickoff: fixtures that kick off soon; events: requested fixtures; recorded: imported answers.';
comment on column palimpsest.scrape_batches.sr_ids is 'Requested SportRadar ids, when the scope is kickoff or events.';
comment on column palimpsest.scrape_batches.slot_at is 'Slot of the kickoff cadence for which the cycle was started; null in other scopes.';
comment on column palimpsest.scrape_batches.home_platform is 'Home platform in the settings at that time.';
comment on column palimpsest.scrape_batches.partition_hour is 'UTC hour (Dagster partition) of the cycle.';
comment on column palimpsest.scrape_batches.run_id is 'Dagster run that scraped it.';
comment on column palimpsest.scrape_batches.status is 'running; completed: all platforms; partial: some; failed: none; cancelled: stopped on request; interrupted: its process died.';
comment on column palimpsest.scrape_batches.started_at is 'Start of the cycle.';
comment on column palimpsest.scrape_batches.heartbeat_at is 'Last heartbeat of the process that runs the cycle.';
comment on column palimpsest.scrape_batches.finished_at is 'End of the cycle, or the last heartbeat of an interrupted one; null while it runs.';
comment on column palimpsest.scrape_batches.summary is 'Status of each platform, so far while the cycle runs, e.g. betpawa ok, sportybet ok, bet9ja failed.';
