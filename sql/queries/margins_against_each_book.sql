-- How do our match-result margins compare with each competitor's now, by tournament?
select country, tournament, platform, count(*) as n_fixtures, round(avg(home_margin)::numeric, 4) as home_margin,
    round(avg(platform_margin)::numeric, 4) as platform_margin, round(avg(margin_diff)::numeric, 4) as home_minus_platform
from palimpsest.price_comparison
where market_key = 'match_result' and outcome_order = 1 and comparable and margin_diff is not null  -- a margin stands on the rows of all outcomes
group by tournament_key, country, tournament, platform
order by home_minus_platform desc, tournament_key, platform;
