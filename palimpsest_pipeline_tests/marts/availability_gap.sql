-- Gaps of fixtures that have not begun, from the definition: what each side's last answer says of every market that either ever showed, and since
-- when it has been so, walked through all answers in Postgres.
-- Parameters: now, home, max_skew_s, main_markets.
with listing as (
    select f.sr_id, f.effective_kickoff, e.listing_id, e.platform, e.deleted_at,
        (select max(c.observed_at) from core.captures c where c.listing_id = e.listing_id) as answered_at
    from core.fixtures f
    join core.event_listings e on e.fixture_sr_id = f.sr_id and e.is_primary
    where f.effective_kickoff > %(now)s
),
fixture as (
    select sr_id, max(greatest(answered_at, deleted_at)) as as_of from listing group by sr_id
),
-- Every answer, and of every row of a book the row of the answer's day that was in force then; none: the answer lacks it.
answer as (
    select l.listing_id, c.observed_at as at from listing l join core.captures c using (listing_id)
),
line as (
    select distinct l.listing_id, m.line_id from listing l join core.market_changes m using (listing_id)
),
in_force as (
    select r.listing_id, r.line_id, a.at, r.state
    from (
        select m.listing_id, m.line_id, m.state::text as state, m.observed_at, date_trunc('day', m.observed_at, 'UTC') as day,
            lead(m.observed_at) over (
                partition by m.listing_id, m.line_id, date_trunc('day', m.observed_at, 'UTC') order by m.observed_at
            ) as next_at
        from listing l join core.market_changes m using (listing_id)
    ) r
    join answer a on a.listing_id = r.listing_id and date_trunc('day', a.at, 'UTC') = r.day
    where a.at >= r.observed_at and (r.next_at is null or a.at < r.next_at)
),
said as (
    select a.listing_id, n.line_id, a.at, coalesce(r.state, 'withdrawn') as state
    from answer a
    join line n using (listing_id)
    left join in_force r on (r.listing_id, r.line_id, r.at) = (a.listing_id, n.line_id, a.at)
),
-- Since when: the first answer after the last one that says otherwise. Answers before the first that shows it say nothing.
seen as (
    select *, first_value(state) over (partition by listing_id, line_id order by at desc) as state_now
    from (select *, min(at) filter (where state <> 'withdrawn') over (partition by listing_id, line_id) as first_at from said) s
    where at >= first_at
),
parted as (
    select *, coalesce(max(at) filter (where state <> state_now) over (partition by listing_id, line_id), '-infinity') as other_at from seen
),
standing as (
    select listing_id, line_id, state_now as state, min(at) as since from parted where at > other_at group by 1, 2, 3
),
ranked as (
    select l.sr_id, l.platform, k.market_key, n.specifier, t.state, t.since,
        array_position('{offered,suspended,no_price,withdrawn}'::text[], t.state) as rank
    from standing t
    join listing l using (listing_id)
    join ops.market_lines n using (line_id)
    join core.markets k using (market_id)
),
market as (
    select distinct on (sr_id, platform, market_key, specifier) sr_id, platform, market_key, specifier, state, since
    from ranked order by sr_id, platform, market_key, specifier, rank, since
),
pair as (
    select h.sr_id, h.effective_kickoff, c.platform, f.as_of,
        h.deleted_at as home_dropped_at, c.deleted_at as platform_dropped_at,
        (h.deleted_at is not null or extract(epoch from f.as_of - h.answered_at) <= %(max_skew_s)s)
            and (c.deleted_at is not null or extract(epoch from f.as_of - c.answered_at) <= %(max_skew_s)s) as known
    from listing h
    join listing c using (sr_id)
    join fixture f using (sr_id)
    where h.platform = %(home)s and c.platform <> %(home)s
),
both_sides as (
    select p.*, m.market_key, m.specifier,
        case when h.state is not null then case when p.home_dropped_at is null then h.state else 'event_dropped' end end as home_state,
        case when c.state is not null then case when p.platform_dropped_at is null then c.state else 'event_dropped' end end as platform_state,
        case when h.state is not null then coalesce(p.home_dropped_at, h.since) end as home_state_since,
        case when c.state is not null then coalesce(p.platform_dropped_at, c.since) end as platform_state_since
    from pair p
    join (select distinct sr_id, market_key, specifier from market) m using (sr_id)
    left join market h on (h.sr_id, h.market_key, h.specifier, h.platform) = (m.sr_id, m.market_key, m.specifier, %(home)s)
    left join market c on (c.sr_id, c.market_key, c.specifier, c.platform) = (m.sr_id, m.market_key, m.specifier, p.platform)
),
judged as (
    select *,
        coalesce(home_state, '') in ('offered', 'suspended', 'no_price') as home_lists,
        coalesce(platform_state, '') in ('offered', 'suspended', 'no_price') as platform_lists,
        coalesce(home_state, '') = 'offered' as home_offers,
        coalesce(platform_state, '') = 'offered' as platform_offers
    from both_sides
),
typed as (
    select *,
        case
            when not coalesce(known, false) then 'unknown'
            when platform_offers and home_lists then 'home_suspended_only'
            when platform_offers then 'home_missing'
            when home_offers and platform_lists then 'platform_suspended_only'
            when home_offers then 'platform_missing'
            else 'both'
        end as gap_type
    from judged
    where (home_lists or platform_lists) and not (home_offers and platform_offers)
)
select
    sr_id, market_key, specifier, platform, as_of, gap_type, home_state, platform_state, home_state_since, platform_state_since,
    case when gap_type <> 'unknown' then greatest(home_state_since, platform_state_since) end as gap_open_since,
    case when gap_type <> 'unknown' then extract(epoch from as_of - greatest(home_state_since, platform_state_since))::float8 / 60 end as gap_minutes,
    home_state is null as never_offered_home, platform_state is null as never_offered_platform,
    extract(epoch from effective_kickoff - as_of)::float8 / 60 as minutes_to_kickoff,
    array_position(%(main_markets)s::text[], market_key) as market_priority
from typed
