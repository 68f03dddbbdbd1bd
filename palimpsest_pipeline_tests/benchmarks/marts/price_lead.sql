-- Which platform moved or suspended first, in the main markets before kickoff, for DuckDB and Postgres alike. Instants of these worlds are whole seconds.
with anchored as (
    select
        l.listing_id, l.sr_id, l.platform, k.kickoff_at, k.kickoff_at - interval '72 hours' as watch_from,
        date_trunc('day', k.kickoff_at - interval '75 hours 30 minutes') as since
    from lives l
    join (select sr_id, kickoff_at, row_number() over (partition by sr_id order by version desc) as place from kickoffs) k
        on k.sr_id = l.sr_id and k.place = 1
),
before as (
    select n.listing_id, n.cycle_id, n."at" as seen_at, n.look
    from looks n
    join anchored a on a.listing_id = n.listing_id
    where n."at" < a.kickoff_at and n."at" >= a.since and n.look <> 'listed'
),
deciding as (
    select
        b.*,
        case
            when lag(look) over w = 'answered' and seen_at - lag(seen_at) over w <= interval '150 minutes' then 0
            else 1
        end as begins
    from before b
    where look = 'answered'
        or not exists (select 1 from before o where o.listing_id = b.listing_id and o.cycle_id = b.cycle_id and o.look = 'answered')
    window w as (partition by listing_id order by seen_at)
),
watched as (
    select listing_id, seen_at, look, cast(seen_at at time zone 'UTC' as date) as day,
        sum(begins) over (partition by listing_id order by seen_at) as watch
    from deciding
),
days as (
    select listing_id, day, lead(min(seen_at)) over (partition by listing_id order by day) as next_keyframe_at
    from watched where look = 'answered' group by listing_id, day
),
answers as (
    select
        w.listing_id, w.seen_at, w.watch, d.next_keyframe_at,
        lag(w.seen_at) over (partition by w.listing_id order by w.seen_at) as previous_at,
        lag(w.watch) over (partition by w.listing_id order by w.seen_at) as previous_watch
    from watched w
    join days d on d.listing_id = w.listing_id and d.day = w.day
    where w.look = 'answered'
),
said as (
    select
        c.listing_id, c.market_key, c.specifier, c.state, coalesce(c.off_mask, 0) as off_mask, c.odds_milli, a.seen_at, a.watch,
        least(lead(a.seen_at) over (partition by c.listing_id, c.market_key, c.specifier order by a.seen_at), a.next_keyframe_at) as until
    from changes c
    join answers a on a.listing_id = c.listing_id and a.seen_at = c.observed_at
    where c.outcome = '' and c.market_key in (
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
        row_number() over () as span, listing_id, market_key, specifier, state, off_mask, odds_milli, min(seen_at) as seen_at, min(watch) as watch,
        case when count(*) = count(until) then max(until) end as until
    from numbered
    group by listing_id, market_key, specifier, stretch, state, off_mask, odds_milli
),
spans as (
    select
        r.*, a.watch as until_watch, a.previous_at as last_at, a.previous_watch as last_watch,
        coalesce(lead(r.seen_at) over w = r.until and lead(r.state) over w = 'offered', false) as stays_offered
    from runs r
    left join answers a on a.listing_id = r.listing_id and a.seen_at = r.until
    window w as (partition by r.listing_id, r.market_key, r.specifier order by r.seen_at)
),
arrays as (
    select span, market_key, off_mask, unnest(odds_milli) as odds_milli, generate_subscripts(odds_milli, 1) as ordinal from spans where state = 'offered'
),
prices as (
    select
        span, market_key, cast(ordinal as integer) as ordinal, cast(1 as bigint) << (cast(ordinal as integer) - 1) as bit,
        case when odds_milli > 1000 then odds_milli end as price,
        (off_mask >> (cast(ordinal as integer) - 1)) & 1 = 1 as off
    from arrays
),
books as (
    select
        span, market_key, bool_or(off) as any_off, min(price) as shortest,
        bit_or(case when off or price is not null then bit else 0 end) as outcome_mask,
        sum(1000.0::double precision / price) as sum_inverse
    from prices
    group by span, market_key
),
judged as (
    select b.span, s.winners_k / b.sum_inverse as share
    from books b
    join sets s on s.market_key = b.market_key and s.outcome_mask = b.outcome_mask and s.winners_k is not null
    where not b.any_off and b.sum_inverse / s.winners_k - 1 between -0.25 and 1
        and 1000.0::double precision / b.shortest * (s.winners_k / b.sum_inverse) < 1
),
priced as (
    select
        s.*, j.share, row_number() over (partition by s.listing_id, s.market_key, s.specifier order by s.seen_at) as book
    from spans s
    join judged j on j.span = s.span
),
probabilities as (
    select
        b.listing_id, b.market_key, b.specifier, p.ordinal, b.book, b.seen_at, b.watch, b.last_at, b.last_watch,
        floor(1000.0::double precision / p.price * b.share * 1000000000 + 0.5) / 1000000000 as probability
    from priced b
    join prices p on p.span = b.span and p.price is not null
),
steps as (
    select
        p.*, lag(book) over w as book_before, lag(last_at) over w as after_at, lag(last_watch) over w as watch_before,
        lag(probability) over w as probability_before
    from probabilities p
    window w as (partition by listing_id, market_key, specifier, ordinal order by book)
),
happened as (
    select listing_id, market_key, specifier, ordinal, after_at, seen_at, watch = watch_before as is_observed, probability_before, probability
    from steps
    where book = book_before + 1 and floor((probability - probability_before) * 1000000000 + 0.5) >= 30000000
    union all
    select listing_id, market_key, specifier, 0, last_at, until, until_watch = last_watch, null, null
    from spans
    where state = 'offered' and until is not null and not stays_offered
),
events as (
    select
        row_number() over () as event, a.sr_id, a.platform, h.*,
        cast(extract(epoch from h.after_at) + extract(epoch from h.seen_at) as double precision) / 2 as middle
    from happened h
    join anchored a on a.listing_id = h.listing_id
    where h.seen_at >= a.watch_from and h.seen_at - h.after_at <= interval '210 minutes'
),
-- Two platforms' events about an outcome, in the order of the answers. An event and the one just before it are a pair when each was the other's nearest.
platforms as (
    select distinct sr_id, market_key, specifier, ordinal, platform from events
),
sides as (
    select e.*, p.platform as other, least(e.platform, p.platform) as low, greatest(e.platform, p.platform) as high
    from events e
    join platforms p on p.sr_id = e.sr_id and p.market_key = e.market_key and p.specifier = e.specifier and p.ordinal = e.ordinal
    where p.platform <> e.platform
),
counted as (
    select
        s.*,
        count(case when platform = low then 1 end) over w as n_low, count(case when platform = high then 1 end) over w as n_high
    from sides s
    window w as (partition by sr_id, market_key, specifier, ordinal, low, high order by seen_at, platform)
),
recalled as (
    select
        c.*,
        case
            when platform = low then max(case when platform = high then middle end) over (partition by sr_id, market_key, specifier, ordinal, low, high, n_high)
            else max(case when platform = low then middle end) over (partition by sr_id, market_key, specifier, ordinal, low, high, n_low)
        end as earlier_middle
    from counted c
),
linked as (
    select
        r.*, lag(event) over w as event_before, lag(platform) over w as platform_before, lag(middle) over w as middle_before,
        abs(lag(middle) over w - lag(earlier_middle) over w) as earlier_lag_s
    from recalled r
    window w as (partition by sr_id, market_key, specifier, ordinal, low, high order by seen_at, platform)
),
numbers as (
    select
        case when middle > middle_before or (middle = middle_before and platform_before < platform) then event_before else event end as leader_event,
        case when middle > middle_before or (middle = middle_before and platform_before < platform) then event else event_before end as follower_event
    from linked
    where platform_before <> platform and abs(middle - middle_before) <= 3600 and (earlier_lag_s is null or abs(middle - middle_before) < earlier_lag_s)
),
candidates as (
    select
        a.sr_id, a.market_key, a.specifier, a.ordinal, a.ordinal = 0 as is_suspension, b.middle - a.middle as lag_s,
        a.event as leader_event, a.platform as leader, a.seen_at as leader_at, a.after_at as leader_after, a.is_observed as leader_observed,
        a.probability_before as leader_probability_before, a.probability as leader_probability,
        b.event as follower_event, b.platform as follower, b.seen_at as follower_at, b.after_at as follower_after, b.is_observed as follower_observed,
        b.probability_before as follower_probability_before, b.probability as follower_probability,
        floor(least(a.probability - a.probability_before, b.probability - b.probability_before) * 1000000000 + 0.5) as rise
    from numbers n
    join events a on a.event = n.leader_event
    join events b on b.event = n.follower_event
),
-- The outcomes of a market can make different pairs: the first ones of both events count.
answered_pairs as (
    select
        p.*, row_number() over (order by greatest(leader_at, follower_at), lag_s, least(leader_at, follower_at), leader) as pair
    from (
        select distinct sr_id, market_key, specifier, is_suspension, leader, leader_at, follower, follower_at, lag_s from candidates
    ) p
),
ranked as (
    select
        p.*,
        row_number() over (partition by sr_id, market_key, specifier, is_suspension, leader, leader_at, follower order by pair) as leader_place,
        row_number() over (partition by sr_id, market_key, specifier, is_suspension, follower, follower_at, leader order by pair) as follower_place
    from answered_pairs p
),
selected as (
    select c.*, r.pair
    from candidates c
    join ranked r on r.sr_id = c.sr_id and r.market_key = c.market_key and r.specifier = c.specifier and r.is_suspension = c.is_suspension
        and r.leader = c.leader and r.leader_at = c.leader_at and r.follower = c.follower and r.follower_at = c.follower_at
    where r.leader_place = 1 and r.follower_place = 1
),
-- Runs of moves that certainly are near each other: first of every outcome, then of the one that each answer counts for.
bounded as (
    select
        e.*, round(cast((probability - probability_before) * 1000000000 as numeric)) as rise_units,
        min(seen_at) over (
            partition by sr_id, market_key, specifier, ordinal order by after_at, seen_at, platform rows between current row and unbounded following
        ) as first_end
    from events e
    where ordinal > 0 and seen_at - after_at <= interval '45 minutes'
),
chained as (
    select
        b.*,
        case when first_end - lag(after_at) over (partition by sr_id, market_key, specifier, ordinal order by after_at, seen_at, platform) <= interval '45 minutes'
            then 0 else 1 end as begins
    from bounded b
),
grouped as (
    select
        c.*, sum(begins) over (partition by sr_id, market_key, specifier, ordinal order by after_at, seen_at, platform) as run
    from chained c
),
first_moves as (
    select
        g.*, row_number() over (partition by sr_id, market_key, specifier, ordinal, run order by seen_at, platform) as place
    from (
        select
            g.*, row_number() over (partition by sr_id, market_key, specifier, ordinal, run, platform order by seen_at) as platform_place
        from grouped g
    ) g
    where platform_place = 1
),
reached as (
    select sr_id, market_key, specifier, ordinal, run, max(seen_at) as reached_at, sum(rise_units) as rise
    from first_moves
    where place <= 3
    group by sr_id, market_key, specifier, ordinal, run
    having count(*) = 3
),
preferred as (
    select
        g.event, g.sr_id, g.market_key, g.specifier, g.ordinal, g.platform, g.after_at, g.seen_at,
        row_number() over (
            partition by g.sr_id, g.market_key, g.specifier, g.platform, g.seen_at order by r.reached_at, r.rise desc, g.ordinal
        ) as preference
    from grouped g
    join reached r on r.sr_id = g.sr_id and r.market_key = g.market_key and r.specifier = g.specifier and r.ordinal = g.ordinal and r.run = g.run
),
bounded_again as (
    select
        p.*,
        min(seen_at) over (
            partition by sr_id, market_key, specifier, ordinal order by after_at, seen_at, platform rows between current row and unbounded following
        ) as first_end
    from preferred p
    where preference = 1
),
chained_again as (
    select
        b.*,
        case when first_end - lag(after_at) over (partition by sr_id, market_key, specifier, ordinal order by after_at, seen_at, platform) <= interval '45 minutes'
            then 0 else 1 end as begins
    from bounded_again b
),
steam_events as (
    select
        event, sr_id, market_key, specifier, ordinal,
        sum(begins) over (partition by sr_id, market_key, specifier, ordinal order by after_at, seen_at, platform) as run
    from chained_again
),
steamed as (
    select s.*, case when a.run = b.run then a.run end as run
    from selected s
    left join steam_events a on a.event = s.leader_event
    left join steam_events b on b.event = s.follower_event
),
steams as (
    select sr_id, market_key, specifier, ordinal, run, min(seen_at) as steam_at, cast(count(distinct platform) as smallint) as steam_platforms
    from (
        select sr_id, market_key, specifier, ordinal, run, leader as platform, leader_at as seen_at from steamed where run is not null
        union all
        select sr_id, market_key, specifier, ordinal, run, follower, follower_at from steamed where run is not null
    ) ends
    group by sr_id, market_key, specifier, ordinal, run
    having count(distinct platform) >= 3
),
chosen as (
    select
        c.*, s.steam_at, s.steam_platforms,
        row_number() over (partition by c.pair order by s.steam_platforms desc nulls last, c.rise desc, c.ordinal) as place
    from steamed c
    left join steams s on s.sr_id = c.sr_id and s.market_key = c.market_key and s.specifier = c.specifier and s.ordinal = c.ordinal and s.run = c.run
)
select
    c.sr_id, case when c.is_suspension then 'suspension' else 'move' end as lead_type, c.market_key, c.specifier, c.leader, c.follower,
    c.leader_at, c.leader_after, c.follower_at, c.follower_after, coalesce(o.outcome_key, '') as outcome_key,
    c.leader_probability_before, c.leader_probability, c.follower_probability_before, c.follower_probability,
    c.lag_s,
    cast(extract(epoch from c.follower_after - c.leader_at) as double precision) as lag_min_s,
    cast(extract(epoch from c.follower_at - c.leader_after) as double precision) as lag_max_s,
    case when c.leader_observed and c.follower_observed then 'polling' else 'not_observed' end as lag_limited_by,
    c.steam_at, c.steam_platforms,
    cast(k.kickoff_at at time zone 'UTC' as date) as kickoff_date
from chosen c
join (select distinct sr_id, kickoff_at from anchored) k on k.sr_id = c.sr_id
left join outcomes o on o.market_key = c.market_key and o.ordinal = c.ordinal
where c.place = 1
