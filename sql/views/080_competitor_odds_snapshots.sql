create view palimpsest.competitor_odds_snapshots as
select
    core.snapshot_id(c.listing_id, c.observed_at) as id,
    c.listing_id as event_id,
    c.observed_at as captured_at,
    c.cycle_id as scrape_run_id
from core.captures c
join core.event_listings e using (listing_id)
where e.platform <> (select palimpsest.home_platform());

comment on view palimpsest.competitor_odds_snapshots is 'Answers with odds from competitors. Each answer confirms all prices that are valid at that time. Key: id.';
comment on column palimpsest.competitor_odds_snapshots.id is 'Id of the snapshot.';
comment on column palimpsest.competitor_odds_snapshots.event_id is 'Competitor event: competitor_events.id.';
comment on column palimpsest.competitor_odds_snapshots.scrape_run_id is 'Cycle it was captured in: scrape_batches.id.';
