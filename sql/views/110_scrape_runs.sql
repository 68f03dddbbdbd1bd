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

comment on view palimpsest.scrape_runs is 'One row per cycle and platform: that platform''s part of the batch. Key: id.';
comment on column palimpsest.scrape_runs.id is 'Run: an integer made from cycle and platform.';
comment on column palimpsest.scrape_runs.batch_id is 'Batch it belongs to: scrape_batches.id.';
comment on column palimpsest.scrape_runs.platform is 'Platform.';
comment on column palimpsest.scrape_runs.status is 'As of the batch; running until the platform''s part is over.';
comment on column palimpsest.scrape_runs.started_at is 'First request.';
comment on column palimpsest.scrape_runs.finished_at is 'Last answer; while it runs, the last one so far.';
comment on column palimpsest.scrape_runs.discovered is 'Match listings that discovery found.';
comment on column palimpsest.scrape_runs.targets is 'Listings that capture asked for.';
comment on column palimpsest.scrape_runs.fetched is 'Listings with a usable answer.';
comment on column palimpsest.scrape_runs.refused is
    'Answers that core refused, of those that can be had (matches in play left out); 0 before the batch is derived, or before this was kept.';
comment on column palimpsest.scrape_runs.requests is 'Requests sent, retries included.';
comment on column palimpsest.scrape_runs.bytes is 'Body bytes received, after decompression.';
comment on column palimpsest.scrape_runs.errors_by_class is 'Failed attempts by failure class.';
comment on column palimpsest.scrape_runs.p50_ms is 'Median request duration in ms; null without a request.';
comment on column palimpsest.scrape_runs.p95_ms is '95th percentile of request duration in ms.';
comment on column palimpsest.scrape_runs.message is 'Why it is not completed, in words; empty when it is.';
comment on column palimpsest.scrape_runs.clock_offset_s is
    'How far the host''s clock is ahead of ours in seconds, the median of its answers; null when none told.';
comment on column palimpsest.scrape_runs.capture_s is 'First request of the capture to its last answer in seconds; null without a capture.';
comment on column palimpsest.scrape_runs.floor_s is
    'Least seconds in which the host''s budget allows requests of the durations measured; null like capture_s.';
