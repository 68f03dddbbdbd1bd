-- Which markets that the vocabulary does not know are in the most matches?
select platform, impact_rank, external_market_id, name, n_fixtures, occurrences, proposed_market_key, sample_outcomes
from palimpsest.unmapped_market
where status = 'new' and impact_rank <= 20
order by platform, impact_rank;
