create view palimpsest.gaps as
select
    g.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    g.platform,
    g.gap_type,
    g.market_key,
    g.market,
    g.specifier,
    g.market_priority,
    g.home_platform,
    g.home_state,
    g.platform_state,
    g.gap_open_since,
    g.gap_minutes,
    g.home_state_since,
    g.platform_state_since,
    g.never_offered_home,
    g.never_offered_platform,
    g.minutes_to_kickoff,
    g.as_of,
    g.mapping_version
from palimpsest.compared_gaps g
join palimpsest.upcoming_fixtures f using (sr_id);

comment on view palimpsest.gaps is 'Current markets that home and a competitor do not both offer, of fixtures that both list or have listed and that have not begun. Key: sr_id, market_key, specifier, platform.';
