-- Which markets do competitors offer that we lack, by how many fixtures?
select platform, market_key, market, count(*) as n_fixtures, sum(n_lines)::bigint as n_lines, sum(n_never_offered)::bigint as n_never_offered
from (
    select sr_id, platform, market_key, market, count(*) as n_lines, count(*) filter (where never_offered_home) as n_never_offered
    from palimpsest.gaps
    where gap_type = 'home_missing'
    group by sr_id, market_key, market, platform
) by_fixture
group by market_key, market, platform
order by n_fixtures desc, n_lines desc, platform, market_key
limit 40;
