-- Stretches of margins of a kickoff date's fixtures, from the definition: what every answer says of every line, put together where one answer follows
-- another that says the same and still held. For markets whose only complete set is all their outcomes, and days that are in Postgres.
-- Parameters: day, main_markets, silence_minutes.
with listings as materialized (
    select e.listing_id, f.sr_id, e.platform, f.effective_kickoff, l.as_of
    from core.fixtures f
    join core.event_listings e on e.fixture_sr_id = f.sr_id and e.is_primary
    join mart.listing_lead_time l on l.sr_id = f.sr_id and l.platform = e.platform
    where (f.effective_kickoff at time zone 'UTC')::date = %(day)s
),
drops as materialized (
    select l.listing_id, i.valid_from as dropped_at
    from listings l
    join mart.availability_interval i using (sr_id, platform)
    where i.market_key = '*' and i.state = 'event_dropped' and i.valid_from < l.effective_kickoff
),
answers as (
    select l.*, c.observed_at as at, lead(c.observed_at) over (partition by l.listing_id order by c.observed_at) as next_at
    from listings l
    join core.captures c using (listing_id)
    where c.observed_at < l.effective_kickoff
),
bounded as (
    select
        a.*,
        a.at + make_interval(mins => %(silence_minutes)s) as silent_at,
        least(
            a.next_at,
            (select min(d.dropped_at) from drops d where d.listing_id = a.listing_id and d.dropped_at > a.at),
            case when a.effective_kickoff <= a.as_of then a.effective_kickoff end
        ) as bound
    from answers a
),
holding as materialized (
    select
        b.*,
        case when b.bound is null and b.silent_at >= b.as_of then null else least(b.bound, b.silent_at) end as holds_to
    from bounded b
),
line_rows as (
    select
        m.listing_id, n.line_id, k.market_id, k.market_key, n.specifier, m.observed_at, m.state,
        coalesce(m.off_mask, 0) as off_mask, m.odds_milli,
        lead(m.observed_at) over (
            partition by m.listing_id, n.line_id, (m.observed_at at time zone 'UTC')::date order by m.observed_at
        ) as next_row_at
    from listings l
    join core.market_changes m using (listing_id)
    join ops.market_lines n using (line_id)
    join core.markets k using (market_id)
    where k.market_key = any(%(main_markets)s)
),
said as (
    select h.*, r.line_id, r.market_id, r.market_key, r.specifier, r.state, r.off_mask, r.odds_milli
    from line_rows r
    join holding h
        on h.listing_id = r.listing_id
        and (h.at at time zone 'UTC')::date = (r.observed_at at time zone 'UTC')::date
        and h.at >= r.observed_at
        and (r.next_row_at is null or h.at < r.next_row_at)
    where r.state <> 'withdrawn'
),
begun as (
    select
        s.*,
        lag(holds_to) over w is distinct from at
        or lag(state) over w is distinct from state
        or lag(off_mask) over w is distinct from off_mask
        or lag(odds_milli) over w is distinct from odds_milli as begins
    from said s
    window w as (partition by listing_id, line_id order by at)
),
numbered as (
    select b.*, count(*) filter (where begins) over (partition by listing_id, line_id order by at) as stretch from begun b
),
stretches as (
    select
        sr_id, platform, market_id, market_key, specifier, effective_kickoff, off_mask, odds_milli,
        min(at) as observed_from,
        max(at) as last_confirmed_at,
        (array_agg(holds_to order by at desc))[1] as observed_to
    from numbered
    group by listing_id, line_id, stretch, sr_id, platform, market_id, market_key, specifier, effective_kickoff, off_mask, odds_milli
),
judged as materialized (
    select
        s.*,
        p.*,
        (select count(*) from core.market_outcomes o where o.market_id = s.market_id) as n_expected,
        (select fair_sum from core.markets k where k.market_id = s.market_id)::smallint as winners_k
    from stretches s
    cross join lateral (
        select
            count(*) filter (where odds > 1000 and not off) as n_outcomes,
            count(*) filter (where odds > 1000) as n_priced,
            bool_or(off) as any_off,
            sum(1000.0::double precision / odds) filter (where odds > 1000 and not off) as sum_inverse,
            sum(1000.0::double precision / odds) filter (where odds > 1000) as sum_priced,
            coalesce(
                jsonb_object_agg(o.outcome_key, (odds / 1000.0)::double precision) filter (where odds > 1000 and not off), '{}'
            ) as odds_vector
        from (
            select u.odds, u.ordinal, (s.off_mask >> (u.ordinal - 1)::integer) & 1 = 1 as off
            from unnest(s.odds_milli) with ordinality as u (odds, ordinal)
        ) u
        join core.market_outcomes o on o.market_id = s.market_id and o.ordinal = u.ordinal
    ) p
),
classed as (
    select
        j.*,
        j.sum_inverse / j.winners_k - 1 as raw_margin,
        case
            when any_off then 'suspended_outcome'
            when n_priced = 0 then 'no_price'
            when n_priced < n_expected then 'incomplete_outcomes'
            when sum_inverse / winners_k - 1 not between -0.25 and 1 then 'out_of_range'
            when sum_inverse / winners_k - 1 < -1e-12 then 'negative'
            else 'ok'
        end as margin_status,
        extract(epoch from effective_kickoff - observed_from) / 60 as minutes
    from judged j
)
select
    sr_id, platform, market_key, specifier, observed_from, last_confirmed_at, observed_to, n_outcomes, n_expected, winners_k, sum_inverse,
    case when margin_status in ('ok', 'negative') then raw_margin end as margin,
    case when margin_status in ('ok', 'negative') then winners_k / sum_inverse end as payout,
    margin_status,
    (sum_priced - 1) * 100 as margin_reference_pct, -- to be rounded to two decimals, whichever way half of the last one goes
    minutes as minutes_to_kickoff,
    case
        when minutes >= 7 * 1440 then '7d+'
        when minutes >= 3 * 1440 then '3-7d'
        when minutes >= 1440 then '1-3d'
        when minutes >= 720 then '12-24h'
        when minutes >= 360 then '6-12h'
        when minutes >= 180 then '3-6h'
        when minutes >= 60 then '1-3h'
        when minutes >= 15 then '15-60m'
        else '<15m'
    end as ttk_bucket,
    odds_vector::text as odds_vector
from classed
