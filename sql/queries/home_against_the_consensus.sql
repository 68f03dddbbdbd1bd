-- Where are our match-result prices furthest from the consensus of the competitors right now, by fair probability?
select kickoff, tournament, home_team, away_team, outcome, home_odds, round(median_odds::numeric, 3) as median_odds, best_odds, n_platforms,
    round(home_to_median::numeric, 4) as home_to_median,
    round(home_minus_power::numeric, 4) as home_minus_power,
    round((home_odds * median_power - 1)::numeric, 4) as value_to_bettor
from palimpsest.consensus
where market_key = 'match_result' and n_fair >= 2 and home_minus_power is not null
order by abs(home_minus_power) desc, sr_id, outcome_order
limit 50;
