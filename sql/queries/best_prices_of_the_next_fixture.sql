-- Which platform has the best price of each result of the next fixture? (For another fixture put its SportRadar id in place of the subquery.)
select home_team, away_team, kickoff, outcome, betpawa_odds, sportybet_odds, bet9ja_odds, best_platform, best_odds, best_confirmed_at
from palimpsest.best_prices
where market_key = 'match_result'
    and sr_id = (
        select sr_id from palimpsest.best_prices where market_key = 'match_result' and n_compared > 0 order by kickoff, sr_id limit 1
    )
order by outcome_order;
