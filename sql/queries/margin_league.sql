-- Which platform has the largest match-result margins, by tournament, on the last day before kickoff? And how much larger are home's margins on the same lines?
select country, tournament, platform, rank_dearest, round(margin_tw_mean::numeric, 4) as margin, round(above_cheapest::numeric, 4) as above_cheapest,
    round(home_minus_platform_tw_mean::numeric, 4) as home_minus_platform, n_fixtures
from palimpsest.margin_league
where market_key = 'match_result' and bucket_scheme = 'reference4' and ttk_bucket = '<24h' and n_platforms > 1
order by tournament_key, rank_dearest, platform;
