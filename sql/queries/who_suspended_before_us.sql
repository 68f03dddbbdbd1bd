-- Which competitors suspended a market before home did, in the last day?
select leader_at, home_team, away_team, kickoff, market, specifier, leader, order_is_proven, round(lag_s::numeric) as lag_s,
    round(lag_min_s::numeric) as lag_min_s, round(lag_max_s::numeric) as lag_max_s, lag_limited_by
from palimpsest.price_leads
where lead_type = 'suspension' and follower = palimpsest.home_platform() and leader_at > now() - interval '1 day'
order by leader_at desc, sr_id, market_key, specifier, leader
limit 100;
