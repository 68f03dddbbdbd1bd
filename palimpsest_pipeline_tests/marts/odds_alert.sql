-- Alerts to traders, from their definition: every price at every look, and what it was a window earlier, whether anything moved or not.
-- For days that are in Postgres. Parameters: home, known_until, main_markets, low, medium, high, calm, max_odds, markets (null: all), window_s, skew_s, silence_s, watched_s.
-- Statements of one transaction; the last one gives the rows.

create temporary table listed on commit drop as
select e.listing_id, f.sr_id, e.platform, e.platform = %(home)s as is_home, e.external_id, e.tournament_external_id,
    f.effective_kickoff as kickoff_at, least(f.effective_kickoff, e.kickoff_at) as leaves_at,
    f.effective_kickoff - make_interval(secs => %(watched_s)s) as watch_from,
    date_trunc('day', f.effective_kickoff - make_interval(secs => %(watched_s)s + %(window_s)s + %(skew_s)s + %(silence_s)s), 'UTC') as since
from core.fixtures f
join core.event_listings e on e.fixture_sr_id = f.sr_id and e.is_primary;
analyze listed;

create temporary table done on commit drop as
select c.* from core.cycles c
where exists (select from core.cycle_products p where p.cycle_id = c.cycle_id and p.product = 'matched_events');
analyze done;

create temporary table answers on commit drop as
select l.listing_id, k.cycle_id, k.observed_at as at
from listed l join core.captures k using (listing_id)
where k.observed_at < l.kickoff_at and k.observed_at >= l.since;
analyze answers;

-- What cycles tell of listings that they have no answer of: the first of these that applies.
create temporary table looks on commit drop as
with told as (
    select l.listing_id, d.cycle_id, s.received_at as at, 'failed' as look, 1 as precedence
    from listed l
    join ops.event_scrape_status s on s.platform = l.platform and s.external_id = l.external_id and s.status = 'failed'
    join done d using (cycle_id)
    union all
    select l.listing_id, d.cycle_id, o.observed_at, 'listed', 2
    from listed l join core.listing_observations o using (listing_id) join done d using (cycle_id)
    union all
    select l.listing_id, d.cycle_id, d.as_of, case coalesce(t.completeness, p.completeness) when 'complete' then 'absent' else 'unknown' end, 3
    from listed l
    join done d on d.scope = 'full' and d.as_of < l.leaves_at
    join core.discovery_manifest p on p.cycle_id = d.cycle_id and p.platform = l.platform and p.external_id = '*'
    left join core.discovery_manifest t on t.cycle_id = d.cycle_id and t.platform = l.platform and t.external_id = l.tournament_external_id
    where not exists (select from core.listing_observations o where o.listing_id = l.listing_id and o.cycle_id = d.cycle_id)
)
select listing_id, at, 'answered' as look from answers
union all
select listing_id, at, look
from (
    select distinct on (t.listing_id, t.cycle_id) t.*
    from told t
    where not exists (select from core.captures k where k.listing_id = t.listing_id and k.cycle_id = t.cycle_id)
    order by t.listing_id, t.cycle_id, t.precedence, t.at
) first_told
join listed l using (listing_id)
where at < l.kickoff_at and at >= l.since;
analyze looks;

create temporary table moments on commit drop as
select k.listing_id, k.at, k.look = 'answered' as answered, k.at >= l.watch_from as is_watched
from looks k join listed l using (listing_id)
where k.look in ('answered', 'absent');
analyze moments;

-- The whole book of each answer: of each line the last row of the answer's day up to it.
create temporary table books on commit drop as
select distinct on (a.listing_id, a.at, m.line_id) a.listing_id, a.at, m.line_id, m.state, coalesce(m.off_mask, 0) as off_mask, m.odds_milli
from answers a
join core.market_changes m on m.listing_id = a.listing_id and m.observed_at <= a.at and m.observed_at >= date_trunc('day', a.at, 'UTC')
order by a.listing_id, a.at, m.line_id, m.observed_at desc;
analyze books;

create temporary table lines on commit drop as
select n.line_id, k.market_id, k.market_key, n.specifier, n.outcome from ops.market_lines n join core.markets k using (market_id)
where %(markets)s::text[] is null or k.market_key = any(%(markets)s::text[]);
analyze lines;

create temporary table quotes on commit drop as
select b.listing_id, b.at, n.market_id, n.market_key, n.specifier, n.outcome, p.ordinal::integer as ordinal, p.milli
from books b
join lines n using (line_id)
cross join unnest(b.odds_milli) with ordinality as p (milli, ordinal)
where b.state = 'offered' and p.milli > 1000 and (b.off_mask >> (p.ordinal::integer - 1)) & 1 = 0;
analyze quotes;

create temporary table places on commit drop as
select distinct listing_id, market_id, market_key, specifier, outcome, ordinal from quotes;
analyze places;

-- Moves: at each look at a listing, each of its prices against the one a window before, if its last look by then was an answer that still held.
create temporary table baselines on commit drop as
with last_looks as (
    select distinct on (m.listing_id, m.at) m.listing_id, m.at, m.answered, k.look, k.at as look_at,
        m.at - make_interval(secs => %(window_s)s) as baseline_at
    from moments m
    left join looks k on k.listing_id = m.listing_id and k.look <> 'listed' and k.at <= m.at - make_interval(secs => %(window_s)s)
    where m.is_watched
    order by m.listing_id, m.at, k.at desc
)
select listing_id, at, answered,
    case when look = 'answered' and baseline_at - look_at < make_interval(secs => %(silence_s)s) then look_at end as held_at
from last_looks;
analyze baselines;

create temporary table moves on commit drop as
select p.*, b.at, now.milli as now, past.milli as past, round(now.milli::numeric / past.milli - 1, 9) as change,
    case when least(now.milli, past.milli) > 1000 * %(max_odds)s::numeric then 0 else round(1000::numeric / now.milli - 1000::numeric / past.milli, 9) end as shift
from baselines b
join places p using (listing_id)
left join quotes now on now.listing_id = p.listing_id and now.at = b.at and b.answered and now.market_id = p.market_id
    and now.specifier = p.specifier and now.outcome = p.outcome and now.ordinal = p.ordinal
left join quotes past on past.listing_id = p.listing_id and past.at = b.held_at and past.market_id = p.market_id
    and past.specifier = p.specifier and past.outcome = p.outcome and past.ordinal = p.ordinal;
analyze moves;

-- Home beside its competitors, at each look at any of them.
create temporary table offers on commit drop as
select distinct b.listing_id, n.market_id, n.market_key, n.specifier, n.outcome <> '' as is_open
from books b join lines n using (line_id)
where b.state <> 'withdrawn';
analyze offers;

create temporary table pairs on commit drop as
select distinct h.listing_id, o.listing_id as other_id
from listed h
join listed o on o.sr_id = h.sr_id and h.is_home and not o.is_home
join core.fixtures f on f.sr_id = h.sr_id and coalesce(f.suspect_code, '') not in ('kickoff_mismatch', 'home_away_swapped')
join offers ours on ours.listing_id = h.listing_id and not ours.is_open
join offers theirs on theirs.listing_id = o.listing_id and theirs.market_id = ours.market_id and theirs.specifier = ours.specifier;
analyze pairs;

create temporary table beside on commit drop as
with instants as (
    select p.listing_id, m.at
    from (select listing_id, listing_id as of_id from pairs union select listing_id, other_id from pairs) p
    join moments m on m.listing_id = p.of_id and m.is_watched
    group by p.listing_id, m.at
)
select distinct on (i.listing_id, p.other_id, i.at) i.listing_id, p.other_id, i.at, ours.at as our_at, ours.answered as is_here,
    theirs.at as their_at, theirs.answered as other_is_here,
    ours.answered and theirs.answered and abs(extract(epoch from ours.at - theirs.at)) <= %(skew_s)s as comparable
from instants i
join pairs p using (listing_id)
join moments ours on ours.listing_id = i.listing_id and ours.at <= i.at
join moments theirs on theirs.listing_id = p.other_id and theirs.at <= i.at
order by i.listing_id, p.other_id, i.at, ours.at desc, theirs.at desc;
analyze beside;

create temporary table enumerated on commit drop as
select distinct listing_id, market_id, market_key, specifier, ordinal
from places p
where not exists (
    select from offers o where o.is_open and o.listing_id = p.listing_id and o.market_id = p.market_id and o.specifier = p.specifier
);
analyze enumerated;

create temporary table sized on commit drop as
with disagreements as (
    select b.listing_id, b.other_id, h.market_key, h.specifier, h.ordinal, b.at, h.now, h.past, h.change,
        o.now as other_now, o.change as other_change,
        case when h.shift * o.shift < 0 then 2 * least(abs(h.shift), abs(o.shift)) else 0 end as size
    from beside b
    join enumerated e using (listing_id)
    join moves h on h.listing_id = b.listing_id and h.at = b.our_at and h.market_id = e.market_id and h.specifier = e.specifier
        and h.ordinal = e.ordinal and h.outcome = ''
    join moves o on o.listing_id = b.other_id and o.at = b.their_at and o.market_id = e.market_id and o.specifier = e.specifier
        and o.ordinal = e.ordinal and o.outcome = ''
    where h.now is null or o.now is null or (b.comparable and h.change is not null and o.change is not null)
),
medians as (
    select b.listing_id, b.at, bool_and(b.is_here) as is_here, min(b.our_at) as our_at,
        count(*) filter (where b.comparable) >= 2 or count(*) filter (where b.is_here and b.other_is_here and not b.comparable) = 0 as tells,
        e.market_id, e.market_key, e.specifier, e.ordinal,
        case when count(o.milli) >= 2 then (percentile_cont(0.5) within group (order by o.milli))::numeric end as past
    from beside b
    join enumerated e using (listing_id)
    left join quotes o on o.listing_id = b.other_id and o.at = b.their_at and b.comparable and o.market_id = e.market_id
        and o.specifier = e.specifier and o.ordinal = e.ordinal and o.outcome = ''
    group by b.listing_id, b.at, e.market_id, e.market_key, e.specifier, e.ordinal
),
outliers as (
    select m.listing_id, m.market_key, m.specifier, m.ordinal, m.at, h.milli as now, m.past, round(h.milli / m.past - 1, 9) as change,
        case when least(h.milli, m.past) > 1000 * %(max_odds)s::numeric then 0 else round(1000 / h.milli::numeric - 1000 / m.past, 9) end as shift
    from medians m
    left join quotes h on h.listing_id = m.listing_id and h.at = m.our_at and m.is_here and h.market_id = m.market_id
        and h.specifier = m.specifier and h.ordinal = m.ordinal and h.outcome = ''
    where m.tells or h.milli is null
)
select 'price_move' as alert_type, listing_id, 0 as other_id, market_key, specifier, outcome, ordinal, at, now, past::numeric as past, change,
    null::integer as other_now, null::numeric as other_change, case when now is null then 0 else abs(shift) end as size
from moves where now is null or change is not null
union all
select 'direction_disagreement', listing_id, other_id, market_key, specifier, '', ordinal, at, now, past, change, other_now, other_change, size
from disagreements
union all
select 'home_outlier', listing_id, 0, market_key, specifier, '', ordinal, at, now, past, change, null, null, coalesce(abs(shift), 0)
from outliers;
analyze sized;

-- A size holds until the next one of its outcome. The largest of a market opens its episode, and closes it when it is small.
create temporary table hot on commit drop as
select distinct alert_type, listing_id, other_id, market_key, specifier from sized where size >= %(low)s::numeric;
analyze hot;

create temporary table hot_sizes on commit drop as
select dense_rank() over (order by alert_type, listing_id, other_id, market_key, specifier) as unit, sized.* from sized
join hot using (alert_type, listing_id, other_id, market_key, specifier);
analyze hot_sizes;

create temporary table hot_instants on commit drop as
select distinct unit, alert_type, listing_id, other_id, market_key, specifier, at from hot_sizes;
analyze hot_instants;

create temporary table hot_parts on commit drop as
select distinct unit, outcome, ordinal from hot_sizes;
analyze hot_parts;

create temporary table episodes on commit drop as
with grid as (
    select i.*, p.outcome, p.ordinal, s.size, count(s.size) over (partition by i.unit, p.outcome, p.ordinal order by i.at) as nth
    from hot_instants i
    join hot_parts p on p.unit = i.unit
    left join hot_sizes s on s.unit = i.unit and s.at = i.at and s.outcome = p.outcome and s.ordinal = p.ordinal
),
held as (
    select unit, alert_type, listing_id, other_id, market_key, specifier, at, max(held_size) as size
    from (select *, max(size) over (partition by unit, outcome, ordinal, nth) as held_size from grid) carried
    group by unit, alert_type, listing_id, other_id, market_key, specifier, at
),
said as (
    select *, size >= %(low)s::numeric as is_open
    from held
    where size >= %(low)s::numeric or coalesce(size, 0) < %(calm)s::numeric * %(low)s::numeric
),
turned as (
    select * from (
        select *, lag(is_open, 1, false) over (partition by unit order by at) as was_open from said
    ) s
    where is_open <> was_open
)
select * from (
    select unit, alert_type, listing_id, other_id, market_key, specifier, is_open, at as opened_at,
        lead(at) over (partition by unit order by at) as closed_at
    from turned
) t
where is_open;
analyze episodes;

create temporary table of_prices on commit drop as
with peaks as (
    select distinct on (e.unit, e.opened_at)
        e.*, s.outcome, s.ordinal, s.at as peak_at, s.now, s.past, s.change, s.size, s.other_now, s.other_change
    from episodes e
    join hot_sizes s on s.unit = e.unit and s.at >= e.opened_at and (e.closed_at is null or s.at < e.closed_at) and s.size >= %(low)s::numeric
    order by e.unit, e.opened_at, s.size desc, s.at, s.outcome collate "C", s.ordinal
),
openings as (
    select distinct on (e.unit, e.opened_at) e.unit, e.opened_at, s.change as change_rel
    from episodes e
    join hot_sizes s on s.unit = e.unit and s.at = e.opened_at
    order by e.unit, e.opened_at, s.size desc, s.outcome collate "C", s.ordinal
)
select p.alert_type, p.listing_id, p.other_id, p.market_key, p.specifier, coalesce(nullif(p.outcome, ''), o.outcome_key) as outcome_key,
    case when p.size >= %(high)s::numeric then 'high' when p.size >= %(medium)s::numeric then 'medium' else 'low' end as severity,
    p.opened_at, p.peak_at, p.closed_at, round(p.past / 1000, 3) as baseline_odds, p.now / 1000.0 as current_odds, x.change_rel,
    p.change as peak_change_rel, p.other_now / 1000.0 as competitor_odds, p.other_change as competitor_change_rel
from peaks p
join openings x using (unit, opened_at)
join core.markets k using (market_key)
left join core.market_outcomes o on o.market_id = k.market_id and o.ordinal = p.ordinal;
analyze of_prices;

-- What is there: a market by each answer, a listing by each look that tells.
create temporary table presence on commit drop as
select o.listing_id, o.market_key, o.specifier, a.at,
    case when bool_or(b.state = 'offered') then true when bool_or(b.state <> 'withdrawn') then null else false end as is_here
from (select distinct listing_id, market_id, market_key, specifier from offers) o
join answers a using (listing_id)
left join (books b join lines n using (line_id))
    on b.listing_id = a.listing_id and b.at = a.at and n.market_id = o.market_id and n.specifier = o.specifier
group by o.listing_id, o.market_key, o.specifier, a.at
union all
select listing_id, '*', '', at, look <> 'absent' from looks where look in ('answered', 'listed', 'absent');
analyze presence;

create temporary table absences on commit drop as
with presence_turned as (
    select * from (
        select *, lag(is_here) over (partition by listing_id, market_key, specifier order by at) as was_here
        from presence where is_here is not null
    ) s
    where is_here <> was_here
)
select s.* from (
    select listing_id, market_key, specifier, is_here, at as opened_at,
        lead(at) over (partition by listing_id, market_key, specifier order by at) as closed_at
    from presence_turned
) s
join listed l using (listing_id)
where not is_here and opened_at >= l.watch_from;
analyze absences;

create temporary table returns on commit drop as
select a.listing_id, a.market_key, a.specifier, a.closed_at as opened_at,
    least(
        (select min(m.at) from moments m where m.listing_id = a.listing_id and m.at >= a.closed_at + make_interval(secs => %(window_s)s)),
        (
            select min(again.opened_at) from absences again
            where again.listing_id = a.listing_id and again.market_key = a.market_key and again.specifier = a.specifier
                and again.opened_at > a.closed_at
        )
    ) as closed_at
from absences a
where a.closed_at is not null and a.market_key <> '*';
analyze returns;

create temporary table alerts on commit drop as
select * from of_prices
union all
select case market_key when '*' then 'event_dropped' else 'market_disappeared' end, listing_id, 0, market_key, specifier, '',
    case when market_key = '*' then 'high' when market_key = any(%(main_markets)s::text[]) then 'medium' else 'low' end,
    opened_at, null, closed_at, null, null, null, null, null, null
from absences
union all
select 'market_returned', listing_id, 0, market_key, specifier, '', 'low', opened_at, null, closed_at, null, null, null, null, null, null
from returns;
analyze alerts;

select a.alert_type, l.platform, o.platform as competitor, l.sr_id, a.market_key, a.specifier, a.outcome_key, a.severity, a.opened_at, a.peak_at,
    coalesce(a.closed_at, case when l.kickoff_at <= %(known_until)s::timestamptz then l.kickoff_at end) as closed_at,
    a.baseline_odds, a.current_odds, a.change_rel, a.peak_change_rel, a.competitor_odds, a.competitor_change_rel
from alerts a
join listed l using (listing_id)
left join listed o on o.listing_id = a.other_id
