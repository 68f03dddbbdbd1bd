create view palimpsest.event_scrape_status as
select
    s.cycle_id as batch_id,
    s.platform,
    s.external_id,
    i.listing_id as event_id,
    s.sr_id as sportradar_id,
    s.sr_id,
    s.status,
    s.attempts,
    s.error_class,
    s.error_detail,
    s.http_status,
    s.requested_at,
    s.received_at,
    s.bytes,
    s.duration_ms,
    s.observed_at
from ops.event_scrape_status s
left join ops.listing_ids i using (platform, external_id);

comment on view palimpsest.event_scrape_status is 'One row per cycle and listing asked for: how the request for its odds went. Key: batch_id, platform, external_id.';
comment on column palimpsest.event_scrape_status.batch_id is 'Batch: scrape_batches.id.';
comment on column palimpsest.event_scrape_status.platform is 'Platform.';
comment on column palimpsest.event_scrape_status.external_id is 'The platform''s own event id.';
comment on column palimpsest.event_scrape_status.event_id is 'Event: events.id or competitor_events.id; null until core has read an answer of it.';
comment on column palimpsest.event_scrape_status.sr_id is 'The same as sportradar_id.';
comment on column palimpsest.event_scrape_status.sportradar_id is 'SportRadar id of the fixture, where known.';
comment on column palimpsest.event_scrape_status.status is
    'completed; failed; cancelled: the cycle was ended before the verdict; interrupted: its process died before the verdict was landed.';
comment on column palimpsest.event_scrape_status.attempts is 'Requests sent for it.';
comment on column palimpsest.event_scrape_status.error_class is
    'Failure class of the last attempt; null when completed, or when the cycle ended before one had failed.';
comment on column palimpsest.event_scrape_status.error_detail is 'What was wrong, in words; empty when completed.';
comment on column palimpsest.event_scrape_status.http_status is 'HTTP status of the last attempt; null when no answer came.';
comment on column palimpsest.event_scrape_status.requested_at is 'Start of the first attempt.';
comment on column palimpsest.event_scrape_status.received_at is 'Last body byte, or the instant the failure was known.';
comment on column palimpsest.event_scrape_status.bytes is 'Body bytes after decompression.';
comment on column palimpsest.event_scrape_status.duration_ms is 'From the first request to the verdict in ms, waits between tries included.';
comment on column palimpsest.event_scrape_status.observed_at is
    'Instant that the good answer shows: received_at less its age in an edge cache; null when not completed.';
