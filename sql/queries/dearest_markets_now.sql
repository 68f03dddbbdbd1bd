-- In which markets are our current margins higher than the competitors', where both have a margin?
select market_key, market, count(*) as n_compared, round(avg(home_margin)::numeric, 4) as home_margin,
    round(avg(platform_margin)::numeric, 4) as platform_margin, round(avg(home_margin - platform_margin)::numeric, 4) as mean_difference
from (
    select sr_id, market_key, market, specifier, platform, min(home_margin) as home_margin, min(platform_margin) as platform_margin
    from palimpsest.price_comparison  -- a market's margin stands on the rows of all its outcomes
    where margin_diff is not null
    group by sr_id, market_key, market, specifier, platform
) compared
group by market_key, market
having count(*) >= 5
order by mean_difference desc, market_key
limit 40;
