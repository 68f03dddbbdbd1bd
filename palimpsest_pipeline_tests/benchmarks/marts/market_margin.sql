-- For how long the prices of the main markets stood before kickoff, and what margin they made, for DuckDB and Postgres alike.
with anchored as (
    select l.listing_id, l.sr_id, l.platform, k.kickoff_at
    from lives l
    join (select sr_id, kickoff_at, row_number() over (partition by sr_id order by version desc) as place from kickoffs) k
        on k.sr_id = l.sr_id and k.place = 1
),
before as (
    select n.listing_id, n.cycle_id, n."at" as seen_at, n.look, a.kickoff_at
    from looks n
    join anchored a on a.listing_id = n.listing_id
    where n."at" < a.kickoff_at and n.look in ('answered', 'absent')
),
telling as (
    select
        b.*,
        lag(look) over (partition by listing_id order by seen_at) as look_before,
        lag(seen_at) over (partition by listing_id order by seen_at) as at_before,
        lead(seen_at) over (partition by listing_id order by seen_at) as next_look_at
    from before b
    where look = 'answered'
        or not exists (select 1 from before o where o.listing_id = b.listing_id and o.cycle_id = b.cycle_id and o.look = 'answered')
),
watched as (
    select
        listing_id, seen_at, next_look_at, kickoff_at, cast(seen_at at time zone 'UTC' as date) as day,
        sum(case when look_before = 'answered' and seen_at - at_before <= interval '150 minutes' then 0 else 1 end)
            over (partition by listing_id order by seen_at) as watch
    from telling
    where look = 'answered'
),
days as (
    select listing_id, day, lead(min(seen_at)) over (partition by listing_id order by day) as next_keyframe_at from watched group by listing_id, day
),
answers as (
    select
        w.*, d.next_keyframe_at,
        lag(w.seen_at) over (partition by w.listing_id order by w.seen_at) as previous_at,
        lag(w.watch) over (partition by w.listing_id order by w.seen_at) as previous_watch
    from watched w
    join days d on d.listing_id = w.listing_id and d.day = w.day
),
ended as (
    select
        listing_id, watch, min(seen_at) as watch_from, max(seen_at) as watched_at, min(kickoff_at) as kickoff_at,
        case when count(*) = count(next_look_at) then max(next_look_at) end as next_look_at
    from answers
    group by listing_id, watch
),
watches as (
    select
        listing_id, watch, watch_from, watched_at,
        case
            when watched_at + interval '150 minutes' < coalesce(next_look_at, least(kickoff_at, timestamptz '2026-03-02 12:00:00+00'))
                then watched_at + interval '150 minutes'
            when next_look_at is not null then next_look_at
            when kickoff_at <= timestamptz '2026-03-02 12:00:00+00' then kickoff_at
        end as watch_to
    from ended
),
said as (
    select
        c.listing_id, c.market_key, c.specifier, c.state, coalesce(c.off_mask, 0) as off_mask, c.odds_milli, a.seen_at, a.watch,
        least(lead(a.seen_at) over (partition by c.listing_id, c.market_key, c.specifier order by a.seen_at), a.next_keyframe_at) as until
    from changes c
    join answers a on a.listing_id = c.listing_id and a.seen_at = c.observed_at
    where c.market_key in (
        'match_result', 'total_goals', 'both_teams_to_score', 'double_chance', 'draw_no_bet', 'asian_handicap'
    )
),
begun as (
    select
        s.*,
        case
            when lag(until) over w = seen_at and lag(state) over w = state and lag(off_mask) over w = off_mask and lag(odds_milli) over w = odds_milli then 0
            else 1
        end as begins
    from said s
    where state <> 'withdrawn'
    window w as (partition by listing_id, market_key, specifier order by seen_at)
),
numbered as (
    select b.*, sum(begins) over (partition by listing_id, market_key, specifier order by seen_at) as stretch from begun b
),
runs as (
    select
        row_number() over () as run, listing_id, market_key, specifier, off_mask, odds_milli, min(seen_at) as seen_at, min(watch) as watch,
        case when count(*) = count(until) then max(until) end as until
    from numbered
    group by listing_id, market_key, specifier, stretch, off_mask, odds_milli
),
arrays as (
    select run, market_key, off_mask, unnest(odds_milli) as odds_milli, generate_subscripts(odds_milli, 1) as ordinal from runs
),
prices as (
    select
        run, market_key, ordinal, cast(1 as bigint) << (cast(ordinal as integer) - 1) as bit,
        case when odds_milli > 1000 then odds_milli end as price,
        (off_mask >> (cast(ordinal as integer) - 1)) & 1 = 1 as off
    from arrays
),
books as (
    select
        p.run, p.market_key,
        count(price) filter (where not off) as n_outcomes,
        count(price) as n_priced,
        bool_or(off) as any_off,
        bit_or(case when off or price is not null then bit else 0 end) as outcome_mask,
        sum(1000.0::double precision / price) filter (where not off) as sum_inverse,
        sum(1000.0::double precision / price) as sum_priced,
        string_agg('"' || o.outcome_key || '": ' || cast(price / 1000.0::double precision as varchar), ', ' order by p.ordinal)
            filter (where price is not null and not off) as odds
    from prices p
    join outcomes o on o.market_key = p.market_key and o.ordinal = p.ordinal
    group by p.run, p.market_key
),
largest as (
    select market_key, max(winners_k) as winners_k, max(n_expected) as n_expected from sets group by market_key
),
judged as (
    select
        b.*, l.winners_k, coalesce(s.n_expected, l.n_expected) as n_expected, b.sum_inverse / l.winners_k - 1 as any_margin,
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
),
pieces as (
    select
        r.run, r.listing_id, r.market_key, r.specifier,
        greatest(r.seen_at, w.watch_from) as observed_from,
        case when w.watch = e.previous_watch then e.previous_at else w.watched_at end as last_confirmed_at,
        least(r.until, w.watch_to) as observed_to
    from runs r
    left join answers e on e.listing_id = r.listing_id and e.seen_at = r.until
    join watches w on w.listing_id = r.listing_id and w.watch >= r.watch and (e.previous_watch is null or w.watch <= e.previous_watch)
),
timed as (
    select
        p.*, a.sr_id, a.platform,
        cast(extract(epoch from a.kickoff_at - p.observed_from) as double precision) / 60 as minutes_to_kickoff
    from pieces p
    join anchored a on a.listing_id = p.listing_id
)
select
    t.sr_id, t.platform, t.market_key, t.specifier, t.observed_from, t.last_confirmed_at, t.observed_to,
    cast(j.n_outcomes as smallint) as n_outcomes,
    cast(j.n_expected as smallint) as n_expected,
    cast(j.winners_k as smallint) as winners_k,
    j.sum_inverse,
    case when j.margin_status in ('ok', 'negative') then j.any_margin end as margin,
    case when j.margin_status in ('ok', 'negative') then 1 / (1 + j.any_margin) end as payout,
    j.margin_status,
    case when j.n_priced > 0 then (j.sum_priced - 1) * 100 end as margin_reference_pct,
    t.minutes_to_kickoff,
    case
        when t.minutes_to_kickoff >= 7 * 1440 then '7d+'
        when t.minutes_to_kickoff >= 3 * 1440 then '3-7d'
        when t.minutes_to_kickoff >= 1440 then '1-3d'
        when t.minutes_to_kickoff >= 720 then '12-24h'
        when t.minutes_to_kickoff >= 360 then '6-12h'
        when t.minutes_to_kickoff >= 180 then '3-6h'
        when t.minutes_to_kickoff >= 60 then '1-3h'
        when t.minutes_to_kickoff >= 15 then '15-60m'
        else '<15m'
    end as ttk_bucket,
    '{' || coalesce(j.odds, '') || '}' as odds_vector
from timed t
join judged j on j.run = t.run
