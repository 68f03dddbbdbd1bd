-- The moves of a steam are the two sides of its pairs. A platform's first move counts.
create view palimpsest.steam as
with moves as (
    select sr_id, market_key, specifier, outcome_key, steam_at, steam_platforms, kickoff_date, s.platform, min(s.at) as at, min(s.middle) as middle,
        max(s.rise) as rise
    from mart.price_lead l
    cross join lateral (values
        (l.leader, l.leader_at, l.leader_after + (l.leader_at - l.leader_after) / 2, l.leader_probability - l.leader_probability_before),
        (l.follower, l.follower_at, l.follower_after + (l.follower_at - l.follower_after) / 2, l.follower_probability - l.follower_probability_before)
    ) s (platform, at, middle, rise)
    where l.steam_at is not null
    group by sr_id, market_key, specifier, outcome_key, steam_at, steam_platforms, kickoff_date, s.platform
),
steams as (
    select sr_id, market_key, specifier, outcome_key, steam_at, steam_platforms, kickoff_date,
        array_agg(platform::text order by middle, platform) as platforms,
        extract(epoch from max(middle) - min(middle))::double precision as duration_s,
        max(at) as last_at, avg(rise) as mean_rise, max(rise) as largest_rise
    from moves
    group by sr_id, market_key, specifier, outcome_key, steam_at, steam_platforms, kickoff_date
)
select
    s.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    s.market_key,
    k.name as market,
    s.specifier,
    s.outcome_key,
    coalesce(o.name, s.outcome_key) as outcome,
    s.steam_at,
    s.last_at,
    s.duration_s,
    s.platforms[1] as first_platform,
    s.steam_platforms as n_platforms,
    s.platforms,
    s.mean_rise,
    s.largest_rise,
    extract(epoch from f.kickoff - s.steam_at)::double precision / 60 as minutes_to_kickoff,
    s.kickoff_date
from steams s
left join palimpsest.fixtures f using (sr_id)
left join core.markets k using (market_key)
left join core.market_outcomes o on o.market_id = k.market_id and o.outcome_key = s.outcome_key;

comment on view palimpsest.steam is 'Outcomes whose price several platforms shortened one after the other (PALIMPSEST_PRICE_LEAD_STEAM_PLATFORMS, _STEAM_MINUTES). Only moves that are certainly close together count, so platforms must be requested often. One move of a market is one steam, also if several of its outcomes became shorter. Key: sr_id, market_key, specifier, outcome_key, steam_at.';
comment on column palimpsest.steam.kickoff is 'Effective kickoff; null when no platform lists the fixture any more.';
comment on column palimpsest.steam.outcome_key is 'Outcome whose price became shorter.';
comment on column palimpsest.steam.outcome is 'Its display name.';
comment on column palimpsest.steam.steam_at is 'Time of the first answer that showed the first move.';
comment on column palimpsest.steam.last_at is 'Time of the first answer that showed the last platform''s move.';
comment on column palimpsest.steam.duration_s is 'Estimated time from the first platform''s move to the last platform''s, seconds.';
comment on column palimpsest.steam.first_platform is 'Platform that moved first, as far as the polling interval tells.';
comment on column palimpsest.steam.n_platforms is 'Number of platforms that moved.';
comment on column palimpsest.steam.platforms is 'The platforms, in the order in which they moved.';
comment on column palimpsest.steam.mean_rise is 'Mean rise of the outcome''s fair probability over the platforms.';
comment on column palimpsest.steam.largest_rise is 'Largest rise.';
comment on column palimpsest.steam.minutes_to_kickoff is 'From steam_at to the effective kickoff, minutes.';
