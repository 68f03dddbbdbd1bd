-- The margin of every market on each platform, for DuckDB and Postgres alike. Markets that take a row an outcome have none: left out.
with arrays as (
    select
        sr_id, platform, market_key, specifier, off_mask, unnest(odds_milli) as odds_milli, generate_subscripts(odds_milli, 1) as ordinal
    from markets
    where outcome = '' and state <> 'withdrawn'
),
prices as (
    select
        sr_id, platform, market_key, specifier, ordinal, cast(1 as bigint) << (cast(ordinal as integer) - 1) as bit,
        case when odds_milli > 1000 then odds_milli end as price,
        (off_mask >> (cast(ordinal as integer) - 1)) & 1 = 1 as off
    from arrays
),
books as (
    select
        sr_id, platform, market_key, specifier,
        count(price) filter (where not off) as n_outcomes,
        count(price) as n_priced,
        bool_or(off) as any_off,
        bit_or(case when off or price is not null then bit else 0 end) as outcome_mask,
        sum(1000.0::double precision / price) filter (where not off) as sum_inverse,
        sum(1000.0::double precision / price) as sum_priced,
        array_agg(cast(ordinal as smallint) order by ordinal) filter (where price is not null and not off) as ordinals,
        array_agg(price order by ordinal) filter (where price is not null and not off) as odds_milli
    from prices
    group by sr_id, platform, market_key, specifier
),
largest as (
    select market_key, max(winners_k) as winners_k, max(n_expected) as n_expected from sets group by market_key
),
judged as (
    select
        b.*, l.winners_k, coalesce(s.n_expected, l.n_expected) as n_expected,
        b.sum_inverse / l.winners_k - 1 as any_margin,
        case
            when l.winners_k is null then 'unknown_k'
            when b.any_off then 'suspended_outcome'
            when b.n_priced = 0 then 'no_price'
            when s.n_expected is null then 'incomplete_outcomes'
            when b.sum_inverse / l.winners_k - 1 not between -0.25 and 1 then 'out_of_range'
            when b.sum_inverse / l.winners_k - 1 < -1e-12 then 'negative'
            else 'ok'
        end as margin_status
    from books b
    join largest l on l.market_key = b.market_key
    left join sets s on s.market_key = b.market_key and s.outcome_mask = b.outcome_mask
)
select
    sr_id, platform, market_key, specifier,
    cast(n_outcomes as smallint) as n_outcomes,
    cast(n_expected as smallint) as n_expected,
    cast(winners_k as smallint) as winners_k,
    sum_inverse,
    case when margin_status in ('ok', 'negative') then any_margin end as margin,
    case when margin_status in ('ok', 'negative') then 1 / (1 + any_margin) end as payout,
    margin_status,
    case when n_priced > 0 then (sum_priced - 1) * 100 end as margin_reference_pct,
    ordinals,
    odds_milli
from judged
