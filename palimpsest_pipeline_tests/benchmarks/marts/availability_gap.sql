-- Markets that home and a competitor do not both offer, for DuckDB and Postgres alike.
with fixtures as (
    select sr_id, max(greatest(answered_at, dropped_at)) as as_of from listings group by sr_id
),
listed as (
    select
        l.sr_id, l.platform, l.kickoff_at, l.dropped_at, f.as_of,
        l.dropped_at is not null or coalesce(extract(epoch from f.as_of - l.answered_at) <= 120, false) as known
    from listings l
    join fixtures f on f.sr_id = l.sr_id
    where f.as_of is not null
),
ranked as (
    select
        sr_id, market_key, specifier, platform, state_since,
        case state when 'offered' then 0 when 'suspended' then 1 when 'no_price' then 2 else 3 end as rank
    from markets
),
best as (
    select sr_id, market_key, specifier, platform, min(rank) as rank from ranked group by sr_id, market_key, specifier, platform
),
stands as (
    select
        b.sr_id, b.market_key, b.specifier,
        max(b.rank) filter (where b.platform = 'betpawa') as home_rank,
        max(b.rank) filter (where b.platform = 'sportybet') as first_rank,
        max(b.rank) filter (where b.platform = 'bet9ja') as second_rank,
        min(r.state_since) filter (where b.platform = 'betpawa') as home_since,
        min(r.state_since) filter (where b.platform = 'sportybet') as first_since,
        min(r.state_since) filter (where b.platform = 'bet9ja') as second_since
    from best b
    join ranked r
        on r.sr_id = b.sr_id and r.market_key = b.market_key and r.specifier = b.specifier and r.platform = b.platform and r.rank = b.rank
    group by b.sr_id, b.market_key, b.specifier
),
sides as (
    select sr_id, market_key, specifier, 'sportybet' as platform, home_rank, home_since, first_rank as rank, first_since as since from stands
    union all
    select sr_id, market_key, specifier, 'bet9ja', home_rank, home_since, second_rank, second_since from stands
),
told as (
    select
        s.sr_id, s.market_key, s.specifier, s.platform, h.as_of, h.kickoff_at, h.known and c.known as known,
        s.home_rank, s.rank, s.home_since, s.since, h.dropped_at as home_dropped_at, c.dropped_at,
        case when h.dropped_at is null then coalesce(s.home_rank, 3) else 3 end as home_stands,
        case when c.dropped_at is null then coalesce(s.rank, 3) else 3 end as stands
    from sides s
    join listed h on h.sr_id = s.sr_id and h.platform = 'betpawa'
    join listed c on c.sr_id = s.sr_id and c.platform = s.platform
),
gaps as (
    select
        t.*,
        case when home_rank is not null then coalesce(home_dropped_at, home_since) end as home_state_since,
        case when rank is not null then coalesce(dropped_at, since) end as platform_state_since,
        case
            when not known then 'unknown'
            when home_stands <> 0 and stands <> 0 then 'both'
            when home_stands = 3 then 'home_missing'
            when stands = 3 then 'platform_missing'
            when home_stands <> 0 then 'home_suspended_only'
            else 'platform_suspended_only'
        end as gap_type
    from told t
    where not (home_stands = 0 and stands = 0) and not (home_stands = 3 and stands = 3)
)
select
    sr_id, market_key, specifier, platform, as_of, gap_type,
    case
        when home_rank is null then null
        when home_dropped_at is not null then 'event_dropped'
        else case home_rank when 0 then 'offered' when 1 then 'suspended' when 2 then 'no_price' else 'withdrawn' end
    end as home_state,
    case
        when rank is null then null
        when dropped_at is not null then 'event_dropped'
        else case rank when 0 then 'offered' when 1 then 'suspended' when 2 then 'no_price' else 'withdrawn' end
    end as platform_state,
    home_state_since,
    platform_state_since,
    case when gap_type <> 'unknown' then greatest(home_state_since, platform_state_since) end as gap_open_since,
    case
        when gap_type <> 'unknown' then cast(extract(epoch from as_of - greatest(home_state_since, platform_state_since)) as double precision) / 60
    end as gap_minutes,
    home_rank is null as never_offered_home,
    rank is null as never_offered_platform,
    cast(extract(epoch from kickoff_at - as_of) as double precision) / 60 as minutes_to_kickoff,
    case market_key
        when 'match_result' then 1 when 'total_goals' then 2 when 'both_teams_to_score' then 3 when 'double_chance' then 4 when 'draw_no_bet' then 5
        when 'asian_handicap' then 6
    end as market_priority
from gaps
