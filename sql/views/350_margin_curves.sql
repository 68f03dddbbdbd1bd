create view palimpsest.margin_curves as
select
    b.kickoff_date,
    b.tournament_key,
    t.display_name as tournament,
    t.country,
    b.platform,
    b.market_key,
    k.name as market,
    b.bucket_scheme,
    b.ttk_bucket,
    array_position(
        array['7d+', '3-7d', '24-72h', '1-3d', '<24h', '12-24h', '6-12h', '3-6h', '1-3h', '15-60m', '<15m'], b.ttk_bucket
    )::smallint as bucket_order,
    b.margin_tw_mean,
    b.margin_p50,
    b.margin_min,
    b.margin_max,
    b.home_minus_platform_tw_mean,
    b.trend_pp,
    b.n_fixtures,
    b.n_observed_minutes,
    b.observed_share,
    b.home_platform,
    b.as_of,
    b.mapping_version
from mart.margin_ttk_bucket b
left join core.tournaments t using (tournament_key)
left join core.markets k using (market_key);

comment on view palimpsest.margin_curves is 'Margins of the markets in PALIMPSEST_MAIN_MARKETS by time to kickoff, over the fixtures of a tournament on a kickoff date, weighted by duration. Key: kickoff_date, tournament_key, platform, market_key, bucket_scheme, ttk_bucket.';
comment on column palimpsest.margin_curves.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.margin_curves.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.margin_curves.country is 'Country; null when no platform gives one.';
comment on column palimpsest.margin_curves.bucket_scheme is 'reference4: four buckets; trader10: ten. Choose one of them.';
comment on column palimpsest.margin_curves.bucket_order is 'Position of ttk_bucket on the way to kickoff, for sorting.';
