-- Who is dearest where? Margins of match result by tournament, over everything that is kept.
select country, tournament, platform, rank_dearest, round(margin_tw_mean::numeric, 4) as margin, round(above_cheapest::numeric, 4) as above_cheapest,
    n_fixtures
from palimpsest.margin_league
where market_key = 'match_result' and bucket_scheme = 'reference4' and ttk_bucket = 'all' and n_platforms > 1
order by tournament_key, rank_dearest, platform;
