create view palimpsest.odds_snapshots as
select
    core.snapshot_id(c.listing_id, c.observed_at) as id,
    c.listing_id as event_id,
    e.platform as bookmaker,
    c.observed_at as captured_at,
    c.cycle_id as scrape_run_id
from core.captures c
join core.event_listings e using (listing_id)
where e.platform = (select palimpsest.home_platform());

comment on view palimpsest.odds_snapshots is 'Answers with odds from the home platform. Each answer confirms all prices that are valid at that time. Key: id.';
comment on column palimpsest.odds_snapshots.id is 'Id of the snapshot.';
comment on column palimpsest.odds_snapshots.event_id is 'Home event: events.id.';
comment on column palimpsest.odds_snapshots.bookmaker is 'The home platform.';
comment on column palimpsest.odds_snapshots.scrape_run_id is 'Cycle it was captured in: scrape_batches.id.';
