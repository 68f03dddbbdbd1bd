-- In which tournaments are our match-result prices best, tied or beaten, and by how much do competitors differ on average?
select tournament, country, count(distinct sr_id) as n_fixtures, count(*) as n_prices,
    round(avg((home_is_best)::integer), 4) as share_best,
    round(avg((home_tied_best)::integer), 4) as share_tied,
    round(avg((rank_home > 1)::integer), 4) as share_beaten,
    round(avg(home_odds / best_odds - 1), 4) as mean_below_best
from (
    select distinct on (sr_id, outcome_key) tournament, country, sr_id, home_is_best, home_tied_best, rank_home, best_odds, home_odds
    from palimpsest.price_comparison
    where market_key = 'match_result' and comparable
) compared
group by tournament, country
order by share_beaten desc, n_prices desc
limit 25;
