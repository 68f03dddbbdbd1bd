-- In which markets are we dearer than the competitors right now, by fixtures on which both have a margin?
select market_key, market, count(*) as n_compared, round(avg(home_margin)::numeric, 4) as home_margin,
    round(avg(platform_margin)::numeric, 4) as platform_margin, round(avg(home_margin - platform_margin)::numeric, 4) as mean_difference
from (
    select h.market_key, h.market, h.margin as home_margin, p.margin as platform_margin
    from palimpsest.margins_now h
    join palimpsest.margins_now p using (sr_id, market_key, specifier)
    where h.is_home and not p.is_home and h.margin is not null and p.margin is not null
) both_sides
group by market_key, market
having count(*) >= 5
order by mean_difference desc, market_key
limit 40;
