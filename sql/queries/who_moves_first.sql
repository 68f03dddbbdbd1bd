-- Who moves first, by market and pair of platforms, in the last seven days? Only pairs whose order is proven count.
select market, leader, follower, count(*) as n_leads,
    round(percentile_cont(0.5) within group (order by lag_s)::numeric) as median_lag_s,
    round(100.0 * count(*) / sum(count(*)) over (partition by market_key, least(leader, follower), greatest(leader, follower)), 1) as pct_of_pair
from palimpsest.price_leads
where lead_type = 'move' and order_is_proven and leader_at > now() - interval '7 days'
group by market_key, market, leader, follower
order by market_key, n_leads desc, leader, follower
limit 100;
