-- Which markets do competitors offer that we lack, by how many fixtures?
select platform, market_key, market, count(distinct sr_id) as n_fixtures, count(*) as n_lines,
    count(*) filter (where never_offered_home) as n_never_offered
from palimpsest.gaps
where gap_type = 'home_missing'
group by platform, market_key, market
order by n_fixtures desc, n_lines desc, platform, market_key
limit 40;
