-- How did our match-result closes differ from each competitor's, by tournament? Prices, and fair probabilities by the power method.
select h.tournament, h.country, c.platform, count(distinct h.sr_id) as n_fixtures,
    round(avg(h.close_odds / c.close_odds - 1), 4) as mean_home_to_platform,
    round(avg(abs(h.fair_power - c.fair_power))::numeric, 4) as mean_distance_power,
    round(avg(h.close_margin)::numeric, 4) as home_margin,
    round(avg(c.close_margin)::numeric, 4) as platform_margin
from palimpsest.closing_prices h
join palimpsest.closing_prices c using (sr_id, market_key, specifier, outcome_key)
where h.is_home and not c.is_home and market_key = 'match_result'
    and (h.suspect_code is null or h.suspect_code not in ('kickoff_mismatch', 'home_away_swapped'))
group by h.tournament, h.country, c.platform
order by n_fixtures desc, h.tournament, h.country, c.platform
limit 50;
