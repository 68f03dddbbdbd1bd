-- Which markets can be backed at a sure profit of half a per cent, on prices no older than five minutes and no further apart than one?
select round(profit::numeric, 4) as profit, kickoff, home_team, away_team, market, specifier, outcomes, platforms, odds, age_s, skew_s
from palimpsest.arbitrage(max_age => '5 minutes', least_profit => 0.005, max_skew => '1 minute');
