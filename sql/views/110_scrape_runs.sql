create view palimpsest.scrape_runs as
select
    core.natural_id(r.cycle_id::text, r.platform) as id,
    r.cycle_id as batch_id,
    r.platform,
    r.status,
    r.started_at,
    r.finished_at,
    r.discovered,
    r.targets,
    r.fetched,
    r.refused,
    r.requests,
    r.bytes,
    r.errors_by_class,
    r.p50_ms,
    r.p95_ms,
    r.message,
    r.clock_offset_s,
    r.capture_s,
    r.floor_s
from ops.scrape_runs r;

comment on view palimpsest.scrape_runs is 'One row per cycle and platform: the platform''s part of the batch. Key: id.';
comment on column palimpsest.scrape_runs.id is 'Id of the run: an integer made from cycle and platform.';
comment on column palimpsest.scrape_runs.batch_id is 'Batch of the run: scrape_batches.id.';
