-- What does each competitor offer for the results of the next fixture beside home, and which platform has the best price? (For another fixture put its SportRadar id in place of the subquery.)
select home_team, away_team, kickoff, outcome, home_platform, home_odds, platform, platform_odds, comparable, best_platform, best_odds, as_of
from palimpsest.price_comparison
where market_key = 'match_result'
    and sr_id = (
        select sr_id from palimpsest.price_comparison where market_key = 'match_result' and comparable order by kickoff, sr_id limit 1
    )
order by outcome_order, platform_odds desc, platform;
