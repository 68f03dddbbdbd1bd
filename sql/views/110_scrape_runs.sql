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
comment on column palimpsest.scrape_runs.platform is 'Platform.';
comment on column palimpsest.scrape_runs.status is 'Status as of the batch; running until the platform''s part is finished.';
comment on column palimpsest.scrape_runs.started_at is 'Time of the first request.';
comment on column palimpsest.scrape_runs.finished_at is 'Time of the last answer; while the cycle runs, of the last answer so far.';
comment on column palimpsest.scrape_runs.discovered is 'Match listings that discovery saw.';
comment on column palimpsest.scrape_runs.targets is 'Listings that capture requested.';
comment on column palimpsest.scrape_runs.fetched is 'Listings with a usable answer.';
comment on column palimpsest.scrape_runs.refused is
    'Answers that core refused, without those of matches in play; 0 before the batch is derived, and in rows written before this was recorded.';
comment on column palimpsest.scrape_runs.requests is 'Requests sent, retries included.';
comment on column palimpsest.scrape_runs.bytes is 'Body bytes received, after decompression.';
comment on column palimpsest.scrape_runs.errors_by_class is 'Failed attempts by failure class.';
comment on column palimpsest.scrape_runs.p50_ms is 'Median request duration in ms; null without a request.';
comment on column palimpsest.scrape_runs.p95_ms is '95th percentile of request duration in ms.';
comment on column palimpsest.scrape_runs.message is 'Reason why it is not completed, in words; empty when it is.';
comment on column palimpsest.scrape_runs.clock_offset_s is
    'Seconds by which the host''s clock is ahead of ours, the median of its answers; null when no answer has a time.';
comment on column palimpsest.scrape_runs.capture_s is 'Seconds from the first request of the capture to its last answer; null without a capture.';
comment on column palimpsest.scrape_runs.floor_s is
    'Shortest time in seconds in which the host''s budget allows these requests with their measured durations; null like capture_s.';
