-- Prices side by side of fixtures that have not begun, from the definition: every outcome in a row of its own, one scalar question after another.
-- Parameters: now, home, max_skew_s, platforms (home first, then in order of trust), round_off.
with listing as (
    select f.sr_id, e.listing_id, e.platform, e.deleted_at, array_position(%(platforms)s::text[], e.platform::text) as trust,
        (select max(c.observed_at) from core.captures c where c.listing_id = e.listing_id) as answered_at
    from core.fixtures f
    join core.event_listings e on e.fixture_sr_id = f.sr_id and e.is_primary
    where f.effective_kickoff > %(now)s
),
fixture as (
    select sr_id, max(greatest(answered_at, deleted_at)) as as_of from listing group by sr_id
),
book as (
    select l.*, k.market_id, k.market_key, n.specifier, n.outcome, m.state::text as state, coalesce(m.off_mask, 0) as off_mask, m.odds_milli
    from listing l
    join core.current_markets m using (listing_id)
    join ops.market_lines n using (line_id)
    join core.markets k using (market_id)
    where l.deleted_at is null and l.answered_at is not null
),
lists as (
    select distinct sr_id, platform, market_id, specifier from book where state <> 'withdrawn'
),
-- An outcome that has a row of its own is that of the vocabulary with this key; a player has none.
told as (
    select b.*, u.ordinal, o.outcome_key, u.odds, (b.off_mask >> (u.ordinal - 1)::integer) & 1 = 1 as off
    from book b
    cross join lateral unnest(b.odds_milli) with ordinality u (odds, ordinal)
    join core.market_outcomes o on o.market_id = b.market_id
        and case when b.outcome = '' then o.ordinal = u.ordinal else o.outcome_key = b.outcome end
    where u.ordinal <= 63
),
priced as (
    select sr_id, platform, trust, answered_at, market_id, market_key, specifier, outcome, outcome_key, ordinal,
        case when odds > 1000 and state <> 'withdrawn' then odds end as milli,
        case
            when state = 'withdrawn' then 'withdrawn'
            when off then 'suspended'
            when odds > 1000 then 'offered'
            else 'no_price'
        end as state
    from told
),
-- Complete sets by the ordinals in them; of most markets all their outcomes.
complete as (
    select market_id, (case when fair_sum ~ '^\d+$' then fair_sum end)::smallint as k from core.markets
),
margin as (
    select p.sr_id, p.platform, p.market_id, p.specifier, c.k, sum(1000.0::float8 / p.milli) as sum_inverse,
        sum(1000.0::float8 / p.milli) / c.k - 1 as margin, min(p.milli) as shortest
    from priced p
    join complete c using (market_id)
    where p.outcome = '' and c.k is not null
    group by p.sr_id, p.platform, p.market_id, p.specifier, c.k
    having bool_and(p.state <> 'suspended')
        and (p.market_id, array_agg(p.ordinal::smallint order by p.ordinal) filter (where p.state = 'offered'))
            in (select s.market_id, s.ordinals from pg_temp.complete_sets s)
),
kept_margin as (
    select *, case when 1000.0::float8 / shortest * (k / sum_inverse) < 1 then k / sum_inverse end as share
    from margin where margin between -0.25 and 1.0
),
pair as (
    select h.sr_id, h.answered_at as home_at, c.platform, c.trust, c.answered_at as platform_at,
        abs(extract(epoch from h.answered_at - c.answered_at))::float8 as skew_s
    from listing h join listing c using (sr_id)
    where h.platform = %(home)s and c.platform <> %(home)s
),
outcome as (
    select distinct p.sr_id, p.market_id, p.market_key, p.specifier, p.outcome, p.outcome_key, p.ordinal from priced p
),
side as (
    select o.*, r.platform, r.trust, r.home_at, r.platform_at, r.skew_s,
        h.milli as home_milli, c.milli as platform_milli, coalesce(h.state, 'no_price') as home_state, coalesce(c.state, 'no_price') as platform_state
    from outcome o
    join pair r using (sr_id)
    left join priced h on (h.sr_id, h.market_id, h.specifier, h.outcome, h.ordinal, h.platform)
        = (o.sr_id, o.market_id, o.specifier, o.outcome, o.ordinal, %(home)s)
    left join priced c on (c.sr_id, c.market_id, c.specifier, c.outcome, c.ordinal, c.platform)
        = (o.sr_id, o.market_id, o.specifier, o.outcome, o.ordinal, r.platform)
    where exists (select from lists x where (x.sr_id, x.market_id, x.specifier, x.platform) = (o.sr_id, o.market_id, o.specifier, %(home)s))
        and exists (select from lists x where (x.sr_id, x.market_id, x.specifier, x.platform) = (o.sr_id, o.market_id, o.specifier, r.platform))
),
compared as (
    select s.*, home_state = 'offered' and platform_state = 'offered' and skew_s <= %(max_skew_s)s
        and coalesce(f.suspect_code, '') not in ('kickoff_mismatch', 'home_away_swapped') as comparable
    from side s join core.fixtures f using (sr_id)
),
-- Each comparable price with all of its line. No join: nothing tells Postgres how many rows these are, and it would pair all with all.
on_line as (
    select *, array_agg(platform_at) over line as ats, array_agg(skew_s) over line as skews, array_agg(trust) over line as trusts
    from compared where comparable
    window line as (partition by sr_id, market_id, specifier, outcome)
),
-- Of two competitors with prices comparable with home's on a line but not near each other's, the one nearer to home can be a leg, then the more
-- trusted.
offer as (
    select distinct sr_id, market_id, specifier, outcome, ordinal, %(home)s::text as platform, 1 as trust, home_milli as milli, true as is_leg
    from compared where home_state = 'offered'
    union all
    select sr_id, market_id, specifier, outcome, ordinal, platform, trust, platform_milli,
        not exists (
            select from unnest(ats, skews, trusts) o (platform_at, skew_s, trust)
            where abs(extract(epoch from o.platform_at - c.platform_at)) > %(max_skew_s)s and (o.skew_s, o.trust) < (c.skew_s, c.trust)
        )
    from on_line c
),
best as (
    select sr_id, market_id, specifier, outcome, ordinal, max(milli) filter (where is_leg) as milli,
        (array_agg(platform order by milli desc, trust) filter (where is_leg))[1] as platform,
        count(*) - 1 as n_compared, max(milli) filter (where platform = %(home)s) as home_milli,
        array_agg(milli) filter (where platform <> %(home)s) as others
    from offer group by 1, 2, 3, 4, 5
),
crossed as (
    select b.sr_id, b.market_id, b.specifier, sum(1000.0::float8 / b.milli) as sum_inverse, c.k
    from best b join complete c using (market_id)
    where b.outcome = '' and c.k is not null
    group by b.sr_id, b.market_id, b.specifier, c.k
    having (b.market_id, array_agg(b.ordinal::smallint order by b.ordinal)) in (select s.market_id, s.ordinals from pg_temp.complete_sets s)
)
select
    c.sr_id, c.market_key, c.specifier, c.outcome_key, c.platform, f.as_of,
    c.home_milli / 1000.0 as home_odds, c.platform_milli / 1000.0 as platform_odds,
    c.home_at as home_last_confirmed_at, c.platform_at as platform_last_confirmed_at, c.skew_s, c.home_state, c.platform_state, c.comparable,
    case when c.comparable then (c.home_milli - c.platform_milli) / 1000.0 end as diff_abs,
    case when c.comparable then c.home_milli::float8 / c.platform_milli - 1 end as diff_rel,
    case when c.outcome = '' then 1000.0::float8 / c.home_milli * hm.share end as fair_home_prob,
    case when c.outcome = '' then 1000.0::float8 / c.platform_milli * pm.share end as fair_platform_prob,
    b.platform as best_platform, b.milli / 1000.0 as best_odds,
    case when b.n_compared > 0 then (select bool_and(b.home_milli > o) from unnest(b.others) o) end as home_is_best,
    case when b.n_compared > 0 then (select bool_and(b.home_milli >= o) and bool_or(b.home_milli = o) from unnest(b.others) o) end as home_tied_best,
    case when b.n_compared > 0 then (select 1 + count(*) from unnest(b.others) o where o > b.home_milli) end as rank_home,
    case when c.outcome = '' then hm.margin end as home_margin,
    case when c.outcome = '' then pm.margin end as platform_margin,
    case when c.outcome = '' then hm.margin - pm.margin end as margin_diff,
    case when c.outcome = '' then x.sum_inverse end as cross_book_sum_inverse,
    case when c.outcome = '' then x.sum_inverse / x.k - 1 < -1e-12 end as arb
from compared c
join fixture f using (sr_id)
left join best b on (b.sr_id, b.market_id, b.specifier, b.outcome, b.ordinal) = (c.sr_id, c.market_id, c.specifier, c.outcome, c.ordinal)
left join kept_margin hm on (hm.sr_id, hm.market_id, hm.specifier, hm.platform) = (c.sr_id, c.market_id, c.specifier, %(home)s)
left join kept_margin pm on (pm.sr_id, pm.market_id, pm.specifier, pm.platform) = (c.sr_id, c.market_id, c.specifier, c.platform)
left join crossed x on (x.sr_id, x.market_id, x.specifier) = (c.sr_id, c.market_id, c.specifier)
where c.home_milli is not null or c.platform_milli is not null or c.home_state = 'suspended' or c.platform_state = 'suspended'
