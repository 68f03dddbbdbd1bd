create view palimpsest.compared_gaps as
select
    g.sr_id,
    n.market_key,
    n.market,
    n.specifier,
    g.platform::text as platform,
    c.home_platform::text as home_platform,
    g.gap_type::text as gap_type,
    g.market_priority,
    g.home_state::text as home_state,
    g.platform_state::text as platform_state,
    g.home_state_since,
    g.platform_state_since,
    s.gap_open_since,
    date_part('epoch', c.as_of - s.gap_open_since) / 60 as gap_minutes,
    g.home_state is null as never_offered_home,
    g.platform_state is null as never_offered_platform,
    date_part('epoch', c.kickoff_at - c.as_of) / 60 as minutes_to_kickoff,
    c.as_of,
    c.mapping_version,
    c.computed_at
from mart.availability_gap g
join mart.compared_listing c using (sr_id, platform)
join ops.line_names n using (line_id)
cross join lateral (
    select case when g.gap_type <> 'unknown' then greatest(g.home_state_since, g.platform_state_since) end as gap_open_since
) s;

comment on view palimpsest.compared_gaps is 'The rows of gaps without names of fixtures, including fixtures that have begun since gaps were last derived. Key: sr_id, market_key, specifier, platform.';
comment on column palimpsest.compared_gaps.platform is 'Competitor compared with home.';
comment on column palimpsest.compared_gaps.home_platform is 'Home platform for which it was computed.';
comment on column palimpsest.compared_gaps.gap_type is 'home_missing: the competitor offers the market, home lacks it; platform_missing: the reverse; home_suspended_only: the competitor offers it, home lists it suspended or without a price; platform_suspended_only: the reverse; both: neither offers it; unknown: one was not observed when the other was.';
comment on column palimpsest.compared_gaps.home_state is 'State on home; null when home never showed the market.';
comment on column palimpsest.compared_gaps.platform_state is 'State on the competitor; null when the competitor never showed the market.';
comment on column palimpsest.compared_gaps.gap_open_since is 'Time from which both are in these states; null when unknown.';
comment on column palimpsest.compared_gaps.gap_minutes is 'From gap_open_since to as_of, minutes.';
comment on column palimpsest.compared_gaps.never_offered_home is 'True when no answer of home has ever shown the market.';
comment on column palimpsest.compared_gaps.never_offered_platform is 'True when no answer of the competitor has ever shown the market.';
comment on column palimpsest.compared_gaps.minutes_to_kickoff is 'From as_of to the effective kickoff, minutes.';
