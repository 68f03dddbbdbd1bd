create view palimpsest.margin_league as
with league as (
    select
        b.tournament_key,
        b.platform,
        b.market_key,
        b.bucket_scheme,
        b.ttk_bucket,
        sum(b.margin_tw_mean * b.n_observed_minutes) / sum(b.n_observed_minutes) as margin_tw_mean,
        sum(h.home_minus * b.n_observed_minutes) / sum(b.n_observed_minutes) filter (where h.home_minus is not null) as home_minus_platform_tw_mean,
        sum(b.n_fixtures)::integer as n_fixtures,
        sum(b.n_observed_minutes) as n_observed_minutes,
        min(b.kickoff_date) as first_kickoff_date,
        max(b.kickoff_date) as last_kickoff_date
    from mart.margin_ttk_bucket b
    -- Dates that were compared with another home platform are left out of the comparison with home.
    cross join lateral (
        select case when b.home_platform = (select palimpsest.home_platform()) then b.home_minus_platform_tw_mean end as home_minus
    ) h
    where b.n_observed_minutes > 0
    group by b.tournament_key, b.platform, b.market_key, b.bucket_scheme, b.ttk_bucket
)
select
    l.tournament_key,
    t.display_name as tournament,
    t.country,
    l.market_key,
    k.name as market,
    l.bucket_scheme,
    l.ttk_bucket,
    l.platform,
    rank() over w as rank_dearest,
    l.margin_tw_mean,
    l.margin_tw_mean - min(l.margin_tw_mean) over (partition by l.tournament_key, l.market_key, l.bucket_scheme, l.ttk_bucket) as above_cheapest,
    count(*) over (partition by l.tournament_key, l.market_key, l.bucket_scheme, l.ttk_bucket)::smallint as n_platforms,
    l.home_minus_platform_tw_mean,
    l.n_fixtures,
    l.n_observed_minutes,
    l.first_kickoff_date,
    l.last_kickoff_date
from league l
left join core.tournaments t using (tournament_key)
left join core.markets k using (market_key)
window w as (partition by l.tournament_key, l.market_key, l.bucket_scheme, l.ttk_bucket order by l.margin_tw_mean desc);

comment on view palimpsest.margin_league is 'Ranking of the platforms by margin: margins of the markets in PALIMPSEST_MAIN_MARKETS by tournament and time to kickoff, over all kickoff dates in the database, weighted by duration. Key: tournament_key, market_key, bucket_scheme, ttk_bucket, platform.';
comment on column palimpsest.margin_league.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.margin_league.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.margin_league.country is 'Country; null when no platform gives one.';
comment on column palimpsest.margin_league.bucket_scheme is 'reference4: four buckets; trader10: ten. Choose one of them.';
comment on column palimpsest.margin_league.ttk_bucket is 'Time to kickoff, including the lower end: 7d+, 3-7d, ... There is no row for all buckets together: platforms are observed longer in some buckets than in others, and margins fall towards kickoff.';
comment on column palimpsest.margin_league.rank_dearest is 'Rank among the platforms: 1 has the largest margin and is the most expensive. It has no meaning when n_platforms is 1.';
comment on column palimpsest.margin_league.margin_tw_mean is 'Mean margin, weighted by the minutes in which the platform had one.';
comment on column palimpsest.margin_league.above_cheapest is 'margin_tw_mean minus that of the cheapest platform.';
comment on column palimpsest.margin_league.n_platforms is 'Platforms with a margin here.';
comment on column palimpsest.margin_league.home_minus_platform_tw_mean is 'Home''s margin minus the platform''s on the same lines: weighted by the minutes in which both had a margin, then over kickoff dates by the platform''s minutes. Only dates computed for the current home platform count. Null for home, and without such minutes.';
comment on column palimpsest.margin_league.n_fixtures is 'Fixtures with a margin here.';
comment on column palimpsest.margin_league.n_observed_minutes is 'Minutes with a margin, over all fixtures and lines.';
comment on column palimpsest.margin_league.first_kickoff_date is 'First UTC date of kickoff among them.';
comment on column palimpsest.margin_league.last_kickoff_date is 'Last UTC date of kickoff among them.';
