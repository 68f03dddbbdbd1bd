-- How do match-result margins change towards kickoff, platform by platform?
select platform, ttk_bucket, sum(n_fixtures) as n_fixtures,
    round((sum(margin_tw_mean * n_observed_minutes) / sum(n_observed_minutes))::numeric, 4) as margin
from palimpsest.margin_curves
where market_key = 'match_result' and bucket_scheme = 'trader10'
group by platform, ttk_bucket, bucket_order
order by platform, bucket_order;
