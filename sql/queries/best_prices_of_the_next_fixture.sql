-- What does each platform offer for the results of the next fixture, and which one has the best price? (For another fixture put its SportRadar id in place of the subquery.)
select b.home_team, b.away_team, b.kickoff, b.outcome, p.platform, p.odds, b.best_platform, b.best_odds, b.best_confirmed_at
from palimpsest.best_prices b
join palimpsest.best_price_platforms p using (sr_id, market_key, specifier, outcome_key)
where b.market_key = 'match_result'
    and b.sr_id = (
        select sr_id from palimpsest.best_prices where market_key = 'match_result' and n_compared > 0 order by kickoff, sr_id limit 1
    )
order by b.outcome_order, p.odds desc, p.platform;
