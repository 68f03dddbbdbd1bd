-- How did the last scrapes end: which platforms failed, how long did they take, and how close were they to the shortest possible time?
select b.started_at, b.scope, b.summary, r.platform, r.discovered, r.targets, r.fetched, r.requests, round(r.p95_ms) as p95_ms,
    round(r.capture_s::numeric, 1) as capture_s, round(r.floor_s::numeric, 1) as floor_s, r.message
from palimpsest.scrape_batches b
join palimpsest.scrape_runs r on r.batch_id = b.id
where b.id in (select id from palimpsest.scrape_batches order by id desc limit 5)
order by b.id desc, r.platform;
