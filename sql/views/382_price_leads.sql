create view palimpsest.price_leads as
select
    l.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    l.lead_type,
    l.market_key,
    k.name as market,
    l.specifier,
    l.outcome_key,
    coalesce(o.name, l.outcome_key) as outcome,
    l.leader,
    l.follower,
    l.lag_min_s >= 0 as order_is_proven,
    l.lag_s,
    l.lag_min_s,
    l.lag_max_s,
    l.lag_limited_by,
    l.leader_after,
    l.leader_at,
    l.follower_after,
    l.follower_at,
    l.leader_probability_before,
    l.leader_probability,
    l.leader_probability - l.leader_probability_before as leader_rise,
    l.follower_probability_before,
    l.follower_probability,
    l.follower_probability - l.follower_probability_before as follower_rise,
    l.steam_at,
    l.steam_platforms,
    extract(epoch from f.kickoff - l.leader_at)::double precision / 60 as minutes_to_kickoff,
    l.kickoff_date,
    l.mapping_version
from mart.price_lead l
left join palimpsest.fixtures f using (sr_id)
left join core.markets k using (market_key)
left join core.market_outcomes o on o.market_id = k.market_id and o.outcome_key = l.outcome_key;

comment on view palimpsest.price_leads is 'Price leads: pairs of events on two platforms, the earlier one first. Both platforms shortened the price of the same outcome (move), or both stopped offering the same market (suspension). Key: sr_id, lead_type, market_key, specifier, leader, follower, leader_at.';
comment on column palimpsest.price_leads.kickoff is 'Effective kickoff; null when no platform lists the fixture any more.';
comment on column palimpsest.price_leads.outcome_key is 'Outcome whose price became shorter; '''' for a suspension.';
comment on column palimpsest.price_leads.outcome is 'Its display name.';
comment on column palimpsest.price_leads.order_is_proven is 'True when the leader''s new state was seen before (or at the same instant as) the follower''s last answer with its old state. Otherwise the order is an estimate.';
comment on column palimpsest.price_leads.lag_min_s is 'Shortest possible lag, seconds; negative when the follower may have been first.';
comment on column palimpsest.price_leads.lag_max_s is 'Longest possible lag, seconds.';
comment on column palimpsest.price_leads.leader_probability_before is 'The outcome''s fair probability (multiplicative) on the leader before the move; null for a suspension.';
comment on column palimpsest.price_leads.leader_probability is 'The same after the move.';
comment on column palimpsest.price_leads.leader_rise is 'Rise of the fair probability on the leader.';
comment on column palimpsest.price_leads.follower_probability_before is 'The outcome''s fair probability on the follower before its move; null for a suspension.';
comment on column palimpsest.price_leads.follower_probability is 'The same after the move.';
comment on column palimpsest.price_leads.follower_rise is 'Rise of the fair probability on the follower.';
comment on column palimpsest.price_leads.steam_at is 'First answer of the steam to which both moves belong (view steam); null when they belong to none.';
comment on column palimpsest.price_leads.minutes_to_kickoff is 'From leader_at to the effective kickoff, minutes.';
