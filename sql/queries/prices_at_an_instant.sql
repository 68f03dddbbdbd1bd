-- What did the next fixture's match result cost when the last cycle was over? (Put any instant whose UTC day is in Postgres in place of its end.)
select platform, outcome_key, odds, is_active, observed_at, last_confirmed_at
from palimpsest.prices_as_of(
    (select max(finished_at) from palimpsest.scrape_batches),
    (select sportradar_id from palimpsest.find_events(availability => 'matched') limit 1)
)
where market_key = 'match_result'
order by platform, outcome_key;
