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
comment on column palimpsest.price_leads.sr_id is 'SportRadar id.';
comment on column palimpsest.price_leads.home_team is 'Home side in the chosen claim.';
comment on column palimpsest.price_leads.away_team is 'Away side in the chosen claim.';
comment on column palimpsest.price_leads.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.price_leads.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.price_leads.country is 'Country; null when no platform gives one.';
comment on column palimpsest.price_leads.kickoff is 'Effective kickoff; null when no platform lists the fixture any more.';
comment on column palimpsest.price_leads.lead_type is 'move or suspension.';
comment on column palimpsest.price_leads.market_key is 'Market of the vocabulary.';
comment on column palimpsest.price_leads.market is 'Its display name.';
comment on column palimpsest.price_leads.specifier is 'Canonical specifier; '''' when the market has none.';
comment on column palimpsest.price_leads.outcome_key is 'Outcome whose price became shorter; '''' for a suspension.';
comment on column palimpsest.price_leads.outcome is 'Its display name.';
comment on column palimpsest.price_leads.leader is 'Platform of the earlier event.';
comment on column palimpsest.price_leads.follower is 'Platform of the later event.';
comment on column palimpsest.price_leads.order_is_proven is 'True when the leader''s new state was seen before (or at the same instant as) the follower''s last answer with its old state. Otherwise the order is an estimate.';
comment on column palimpsest.price_leads.lag_s is 'Time from the leader''s event to the follower''s, seconds: the middle of its bounds.';
comment on column palimpsest.price_leads.lag_min_s is 'Shortest possible lag, seconds; negative when the follower may have been first.';
comment on column palimpsest.price_leads.lag_max_s is 'Longest possible lag, seconds.';
comment on column palimpsest.price_leads.lag_limited_by is 'Why the lag is known within bounds only: polling, or not_observed (a platform was not observed for some of the time).';
comment on column palimpsest.price_leads.leader_after is 'Time of the leader''s last answer with the old state.';
comment on column palimpsest.price_leads.leader_at is 'Time of the leader''s first answer with the new state.';
comment on column palimpsest.price_leads.follower_after is 'Time of the follower''s last answer with the old state.';
comment on column palimpsest.price_leads.follower_at is 'Time of the follower''s first answer with the new state.';
comment on column palimpsest.price_leads.leader_probability_before is 'The outcome''s fair probability (multiplicative) on the leader before the move; null for a suspension.';
comment on column palimpsest.price_leads.leader_probability is 'The same after the move.';
comment on column palimpsest.price_leads.leader_rise is 'Rise of the fair probability on the leader.';
comment on column palimpsest.price_leads.follower_probability_before is 'The outcome''s fair probability on the follower before its move; null for a suspension.';
comment on column palimpsest.price_leads.follower_probability is 'The same after the move.';
comment on column palimpsest.price_leads.follower_rise is 'Rise of the fair probability on the follower.';
comment on column palimpsest.price_leads.steam_at is 'First answer of the steam to which both moves belong (view steam); null when they belong to none.';
comment on column palimpsest.price_leads.steam_platforms is 'Number of platforms of the steam; null without one.';
comment on column palimpsest.price_leads.minutes_to_kickoff is 'From leader_at to the effective kickoff, minutes.';
comment on column palimpsest.price_leads.kickoff_date is 'UTC date of the effective kickoff.';
comment on column palimpsest.price_leads.mapping_version is 'Version of the market vocabulary.';
