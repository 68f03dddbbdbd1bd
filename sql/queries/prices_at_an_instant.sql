-- What did the next fixture's match result cost at its last observation? (Put any fixture, and any instant whose UTC day is in Postgres.)
with fixture as (
    select sr_id, as_of from palimpsest.price_comparison where market_key = 'match_result' and comparable order by kickoff, sr_id limit 1
)
select p.platform, p.outcome_key, p.odds, p.is_active, p.observed_at, p.last_confirmed_at
from fixture f
cross join lateral palimpsest.prices_as_of(f.as_of, f.sr_id) p
where p.market_key = 'match_result'
order by p.platform, p.outcome_key;
