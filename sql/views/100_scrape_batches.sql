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

comment on view palimpsest.scrape_batches is 'One row per cycle: all platforms scraped once, what started it and how it ended. Key: id.';
comment on column palimpsest.scrape_batches.id is 'Cycle: UTC digits of its begin down to the millisecond.';
comment on column palimpsest.scrape_batches.trigger is 'What started it: scheduled, sensor, manual, on_demand or import.';
comment on column palimpsest.scrape_batches.scope is 'What it covers: full; kickoff: fixtures that kick off soon; events: fixtures asked for; recorded: imported.';
comment on column palimpsest.scrape_batches.sr_ids is 'SportRadar ids asked for, when the scope is kickoff or events.';
comment on column palimpsest.scrape_batches.slot_at is 'Slot of the kickoff cadence that it was begun for; null in other scopes.';
comment on column palimpsest.scrape_batches.home_platform is 'Home platform in force.';
comment on column palimpsest.scrape_batches.partition_hour is 'UTC hour (Dagster partition) it belongs to.';
comment on column palimpsest.scrape_batches.run_id is 'Dagster run that scraped it.';
comment on column palimpsest.scrape_batches.status is 'running; completed: all platforms; partial: some; failed: none; cancelled: somebody ended it; interrupted: its process died.';
comment on column palimpsest.scrape_batches.started_at is 'Begin of the cycle.';
comment on column palimpsest.scrape_batches.heartbeat_at is 'Last sign of life of the process that runs it.';
comment on column palimpsest.scrape_batches.finished_at is 'End, of an interrupted one its last sign of life; null while it runs.';
comment on column palimpsest.scrape_batches.summary is 'How each platform fared, or fares so far, e.g. betpawa ok, sportybet ok, bet9ja failed.';
