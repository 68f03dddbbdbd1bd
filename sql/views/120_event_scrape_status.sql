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

comment on view palimpsest.event_scrape_status is 'One row per cycle and requested listing, with the result of the request for its odds. Key: batch_id, platform, external_id.';
comment on column palimpsest.event_scrape_status.batch_id is 'Batch: scrape_batches.id.';
comment on column palimpsest.event_scrape_status.platform is 'Platform.';
comment on column palimpsest.event_scrape_status.external_id is 'The platform''s own event id.';
comment on column palimpsest.event_scrape_status.event_id is 'Event: events.id or competitor_events.id; null until core has read one of its answers.';
comment on column palimpsest.event_scrape_status.sr_id is 'The same as sportradar_id.';
comment on column palimpsest.event_scrape_status.sportradar_id is 'SportRadar id of the fixture, if known.';
comment on column palimpsest.event_scrape_status.status is
    'completed; failed; cancelled: the cycle was stopped before the verdict; interrupted: its process died before the verdict was landed.';
comment on column palimpsest.event_scrape_status.attempts is 'Requests sent for the listing.';
comment on column palimpsest.event_scrape_status.error_class is
    'Failure class of the last attempt; null when completed, or when the cycle ended before one had failed.';
comment on column palimpsest.event_scrape_status.error_detail is 'Description of the error; empty when completed.';
comment on column palimpsest.event_scrape_status.http_status is 'HTTP status of the last attempt; null without an answer.';
comment on column palimpsest.event_scrape_status.requested_at is 'Start of the first attempt.';
comment on column palimpsest.event_scrape_status.received_at is 'Arrival time of the last body byte, or the time at which the failure was known.';
comment on column palimpsest.event_scrape_status.bytes is 'Body bytes after decompression.';
comment on column palimpsest.event_scrape_status.duration_ms is 'Milliseconds from the first request to the verdict, including waits between attempts.';
comment on column palimpsest.event_scrape_status.observed_at is
    'Time that the good answer shows: received_at less its age in an edge cache; null when not completed.';
