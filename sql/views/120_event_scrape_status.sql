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
comment on column palimpsest.event_scrape_status.event_id is 'Event: events.id or competitor_events.id; null until core has read one of its answers.';
comment on column palimpsest.event_scrape_status.sr_id is 'The same as sportradar_id.';
