-- Margins by time to kickoff, from the definition, over the stretches in mart.market_margin.
-- Parameters: day, home.
with buckets (bucket_scheme, ttk_bucket, least, below) as (
    values
        ('reference4', '7d+', interval '7 days', null::interval),
        ('reference4', '3-7d', interval '3 days', interval '7 days'),
        ('reference4', '24-72h', interval '24 hours', interval '72 hours'),
        ('reference4', '<24h', interval '0', interval '24 hours'),
        ('trader10', '7d+', interval '7 days', null),
        ('trader10', '3-7d', interval '3 days', interval '7 days'),
        ('trader10', '1-3d', interval '1 day', interval '3 days'),
        ('trader10', '12-24h', interval '12 hours', interval '24 hours'),
        ('trader10', '6-12h', interval '6 hours', interval '12 hours'),
        ('trader10', '3-6h', interval '3 hours', interval '6 hours'),
        ('trader10', '1-3h', interval '1 hour', interval '3 hours'),
        ('trader10', '15-60m', interval '15 minutes', interval '60 minutes'),
        ('trader10', '<15m', interval '0', interval '15 minutes')
),
fixtures as materialized (
    select l.sr_id, f.tournament_key, l.effective_kickoff, min(l.first_listed_at) as listed_at, max(l.as_of) as as_of
    from mart.listing_lead_time l
    join core.fixtures f using (sr_id)
    where l.kickoff_date = %(day)s
    group by l.sr_id, f.tournament_key, l.effective_kickoff
),
spans as (
    select
        f.sr_id, f.tournament_key, f.effective_kickoff, f.as_of, b.bucket_scheme, b.ttk_bucket,
        case when b.below is null then f.listed_at else f.effective_kickoff - b.below end as begins,
        least(f.effective_kickoff - b.least, f.as_of) as ends
    from fixtures f
    cross join buckets b
),
pieces as materialized (
    select
        s.*, m.platform, m.market_key, m.specifier, m.margin,
        tstzrange(m.observed_from, coalesce(m.observed_to, s.as_of)) * tstzrange(s.begins, s.ends) as stood
    from spans s
    join mart.market_margin m using (sr_id)
    where m.margin is not null and s.begins < s.ends
        and m.observed_from < s.ends and coalesce(m.observed_to, s.as_of) > greatest(s.begins, m.observed_from)
),
weighed as (
    select p.*, extract(epoch from upper(stood) - lower(stood)) as seconds, extract(epoch from upper(stood) - lower(stood)) / 60 as minutes
    from pieces p
),
figures as (
    select
        tournament_key, platform, market_key, bucket_scheme, ttk_bucket,
        count(distinct sr_id) as n_fixtures,
        sum(minutes) as n_observed_minutes,
        sum(margin * minutes) / sum(minutes) as margin_tw_mean,
        min(margin) as margin_min,
        max(margin) as margin_max
    from weighed
    group by tournament_key, platform, market_key, bucket_scheme, ttk_bucket
),
medians as (
    select tournament_key, platform, market_key, bucket_scheme, ttk_bucket, min(margin) as margin_p50
    from (
        select
            w.*,
            -- seconds are exact, minutes are not: half the time may be reached to the microsecond
            sum(seconds) over (partition by tournament_key, platform, market_key, bucket_scheme, ttk_bucket order by margin) as up_to,
            sum(seconds) over (partition by tournament_key, platform, market_key, bucket_scheme, ttk_bucket) as total
        from weighed w
    ) ranked
    where up_to * 2 >= total
    group by tournament_key, platform, market_key, bucket_scheme, ttk_bucket
),
of_fixture as (
    select
        tournament_key, platform, market_key, bucket_scheme, ttk_bucket, sr_id, effective_kickoff,
        sum(margin * minutes) / sum(minutes) as mean,
        (select sum(extract(epoch from upper(r) - lower(r))) / 60 from unnest(range_agg(stood)) r) as covered,
        extract(epoch from max(ends - begins)) / 60 as of_bucket
    from weighed
    group by tournament_key, platform, market_key, bucket_scheme, ttk_bucket, sr_id, effective_kickoff
),
placed as (
    select
        o.*,
        row_number() over (partition by tournament_key, platform, market_key, bucket_scheme, ttk_bucket order by effective_kickoff, sr_id) as place,
        count(*) over (partition by tournament_key, platform, market_key, bucket_scheme, ttk_bucket) as n
    from of_fixture o
),
shares as (
    select
        tournament_key, platform, market_key, bucket_scheme, ttk_bucket,
        sum(covered) / sum(of_bucket) as observed_share,
        case when count(*) >= 4 then 100 * (avg(mean) filter (where place > n / 2) - avg(mean) filter (where place <= n / 2)) end as trend_pp
    from placed
    group by tournament_key, platform, market_key, bucket_scheme, ttk_bucket
),
differences as (
    select
        theirs.tournament_key, theirs.platform, theirs.market_key, theirs.bucket_scheme, theirs.ttk_bucket,
        sum((home.margin - theirs.margin) * extract(epoch from upper(home.stood * theirs.stood) - lower(home.stood * theirs.stood)))
        / sum(extract(epoch from upper(home.stood * theirs.stood) - lower(home.stood * theirs.stood))) as home_minus_platform_tw_mean
    from weighed theirs
    join weighed home using (sr_id, market_key, specifier, bucket_scheme, ttk_bucket)
    where theirs.platform <> %(home)s and home.platform = %(home)s and home.stood && theirs.stood
    group by theirs.tournament_key, theirs.platform, theirs.market_key, theirs.bucket_scheme, theirs.ttk_bucket
)
select *
from figures
join medians using (tournament_key, platform, market_key, bucket_scheme, ttk_bucket)
join shares using (tournament_key, platform, market_key, bucket_scheme, ttk_bucket)
left join differences using (tournament_key, platform, market_key, bucket_scheme, ttk_bucket)
