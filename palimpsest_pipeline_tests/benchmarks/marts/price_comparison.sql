-- Home's price of each outcome beside each competitor's, for DuckDB and Postgres alike. Markets that take a row an outcome are players here: left out.
with fixtures as (
    select
        sr_id,
        max(greatest(answered_at, dropped_at)) as as_of,
        max(answered_at) filter (where platform = 'betpawa' and dropped_at is null) as home_at,
        max(answered_at) filter (where platform = 'sportybet' and dropped_at is null) as first_at,
        max(answered_at) filter (where platform = 'bet9ja' and dropped_at is null) as second_at
    from listings
    group by sr_id
),
arrays as (
    select
        m.sr_id, m.market_key, m.specifier, m.platform, m.off_mask,
        unnest(m.odds_milli) as odds_milli, generate_subscripts(m.odds_milli, 1) as ordinal
    from markets m
    join listings l on l.sr_id = m.sr_id and l.platform = m.platform
    where m.outcome = '' and m.state <> 'withdrawn' and l.dropped_at is null and l.answered_at is not null
),
prices as (
    select
        sr_id, market_key, specifier, platform, ordinal, cast(1 as bigint) << (cast(ordinal as integer) - 1) as bit,
        case when odds_milli > 1000 then odds_milli end as price,
        (off_mask >> (cast(ordinal as integer) - 1)) & 1 = 1 as off
    from arrays
),
books as (
    select
        sr_id, market_key, specifier, platform,
        bool_or(off) as any_off,
        count(price) as n_priced,
        bit_or(case when off or price is not null then bit else 0 end) as outcome_mask,
        sum(1000.0::double precision / price) as sum_inverse,
        min(price) as shortest
    from prices
    group by sr_id, market_key, specifier, platform
),
margins as (
    select
        b.sr_id, b.market_key, b.specifier, b.platform,
        b.sum_inverse / s.winners_k - 1 as margin,
        case when 1000.0::double precision / b.shortest * s.winners_k / b.sum_inverse < 1 then s.winners_k / b.sum_inverse end as share
    from books b
    join sets s on s.market_key = b.market_key and s.outcome_mask = b.outcome_mask
    where not b.any_off and b.n_priced > 0 and s.winners_k is not null and b.sum_inverse / s.winners_k - 1 between -0.25 and 1
),
lines as (
    select
        b.sr_id, b.market_key, b.specifier,
        bool_or(b.platform = 'betpawa') as home_lists,
        bool_or(b.platform = 'sportybet') as first_lists,
        bool_or(b.platform = 'bet9ja') as second_lists,
        max(m.margin) filter (where b.platform = 'betpawa') as home_margin,
        max(m.margin) filter (where b.platform = 'sportybet') as first_margin,
        max(m.margin) filter (where b.platform = 'bet9ja') as second_margin,
        max(m.share) filter (where b.platform = 'betpawa') as home_share,
        max(m.share) filter (where b.platform = 'sportybet') as first_share,
        max(m.share) filter (where b.platform = 'bet9ja') as second_share
    from books b
    left join margins m on m.sr_id = b.sr_id and m.market_key = b.market_key and m.specifier = b.specifier and m.platform = b.platform
    group by b.sr_id, b.market_key, b.specifier
),
wide as (
    select
        sr_id, market_key, specifier, ordinal, bit,
        max(price) filter (where platform = 'betpawa') as home_price,
        max(price) filter (where platform = 'sportybet') as first_price,
        max(price) filter (where platform = 'bet9ja') as second_price,
        coalesce(bool_or(off) filter (where platform = 'betpawa'), false) as home_off,
        coalesce(bool_or(off) filter (where platform = 'sportybet'), false) as first_off,
        coalesce(bool_or(off) filter (where platform = 'bet9ja'), false) as second_off
    from prices
    group by sr_id, market_key, specifier, ordinal, bit
),
paired as (
    select
        w.*, l.home_lists, l.first_lists, l.second_lists, l.home_margin, l.first_margin, l.second_margin, l.home_share, l.first_share, l.second_share,
        f.as_of, f.home_at, f.first_at, f.second_at,
        abs(extract(epoch from f.home_at - f.first_at)) as first_skew_s,
        abs(extract(epoch from f.home_at - f.second_at)) as second_skew_s,
        w.home_price is not null and not w.home_off as home_can,
        coalesce(
            w.home_price is not null and not w.home_off and w.first_price is not null and not w.first_off
                and abs(extract(epoch from f.home_at - f.first_at)) <= 120, false
        ) as first_comparable,
        coalesce(
            w.home_price is not null and not w.home_off and w.second_price is not null and not w.second_off
                and abs(extract(epoch from f.home_at - f.second_at)) <= 120, false
        ) as second_comparable,
        coalesce(abs(extract(epoch from f.first_at - f.second_at)) > 120, false) as are_far,
        abs(extract(epoch from f.home_at - f.first_at)) <= abs(extract(epoch from f.home_at - f.second_at)) as first_stays
    from wide w
    join lines l on l.sr_id = w.sr_id and l.market_key = w.market_key and l.specifier = w.specifier
    join fixtures f on f.sr_id = w.sr_id
    where l.home_lists and (l.first_lists or l.second_lists)
),
compared as (
    select
        *,
        -- Of two competitors comparable with home on a line that are not near each other, the one nearer to home can be a leg, then the more trusted.
        are_far and bool_or(first_comparable) over line and bool_or(second_comparable) over line as are_apart
    from paired
    window line as (partition by sr_id, market_key, specifier)
),
ranked as (
    select
        c.*,
        greatest(
            case when home_can then home_price end,
            case when first_comparable and not (are_apart and not first_stays) then first_price end,
            case when second_comparable and not (are_apart and first_stays) then second_price end
        ) as best,
        cast(first_comparable and first_price > home_price as integer) + cast(second_comparable and second_price > home_price as integer) as n_more,
        cast(first_comparable and first_price = home_price as integer) + cast(second_comparable and second_price = home_price as integer) as n_same
    from compared c
),
crossed as (
    select r.sr_id, r.market_key, r.specifier, r.sum_inverse as cross_book_sum_inverse, r.sum_inverse / s.winners_k - 1 < -1e-12 as arb
    from (
        select sr_id, market_key, specifier, sum(1000.0::double precision / best) as sum_inverse, bit_or(bit) as outcome_mask
        from ranked
        where best is not null
        group by sr_id, market_key, specifier
    ) r
    join sets s on s.market_key = r.market_key and s.outcome_mask = r.outcome_mask
    where s.winners_k is not null
),
told as (
    select
        r.*, o.outcome_key, x.cross_book_sum_inverse, x.arb,
        case
            when home_can and home_price = best then 'betpawa'
            when first_comparable and not (are_apart and not first_stays) and first_price = best then 'sportybet'
            when second_comparable and not (are_apart and first_stays) and second_price = best then 'bet9ja'
        end as best_platform,
        first_comparable or second_comparable as is_compared,
        case when home_off then 'suspended' when home_price is not null then 'offered' else 'no_price' end as home_state
    from ranked r
    join outcomes o on o.market_key = r.market_key and o.ordinal = r.ordinal
    left join crossed x on x.sr_id = r.sr_id and x.market_key = r.market_key and x.specifier = r.specifier
),
sides as (
    select
        t.*, 'sportybet' as platform, first_price as price, first_off as off, first_at as platform_at, first_skew_s as skew_s, first_comparable as comparable,
        first_margin as platform_margin, first_share as platform_share
    from told t
    where first_lists and (home_price is not null or home_off or first_price is not null or first_off)
    union all
    select
        t.*, 'bet9ja', second_price, second_off, second_at, second_skew_s, second_comparable, second_margin, second_share
    from told t
    where second_lists and (home_price is not null or home_off or second_price is not null or second_off)
)
select
    sr_id, market_key, specifier, outcome_key, platform, as_of,
    home_price / 1000.0::double precision as home_odds,
    price / 1000.0::double precision as platform_odds,
    home_at as home_last_confirmed_at,
    platform_at as platform_last_confirmed_at,
    cast(skew_s as double precision) as skew_s,
    home_state,
    case when off then 'suspended' when price is not null then 'offered' else 'no_price' end as platform_state,
    comparable,
    case when comparable then (home_price - price) / 1000.0::double precision end as diff_abs,
    case when comparable then cast(home_price as double precision) / price - 1 end as diff_rel,
    1000.0::double precision / home_price * home_share as fair_home_prob,
    1000.0::double precision / price * platform_share as fair_platform_prob,
    best_platform,
    best / 1000.0::double precision as best_odds,
    case when is_compared then n_more = 0 and n_same = 0 end as home_is_best,
    case when is_compared then n_more = 0 and n_same > 0 end as home_tied_best,
    case when is_compared then cast(1 + n_more as smallint) end as rank_home,
    home_margin,
    platform_margin,
    home_margin - platform_margin as margin_diff,
    cross_book_sum_inverse,
    arb
from sides
