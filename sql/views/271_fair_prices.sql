create view palimpsest.fair_prices as
select
    p.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    p.market_key,
    p.market,
    p.specifier,
    p.outcome_key,
    p.outcome,
    p.outcome_order,
    p.home_platform,
    p.platform,
    p.is_home,
    p.is_in_consensus,
    p.odds,
    p.margin,
    p.fair_multiplicative,
    p.fair_power,
    p.fair_shin,
    p.last_confirmed_at,
    p.as_of,
    p.mapping_version
from palimpsest.compared_fair_prices p
join palimpsest.upcoming_fixtures f using (sr_id);

comment on view palimpsest.fair_prices is 'Current prices that can be backed, with their fair probabilities by three methods: one row per outcome and platform, for markets that home and a competitor list, of fixtures that have not begun. Read few markets or few fixtures at a time: the methods power and Shin are computed when they are read. Key: sr_id, market_key, specifier, outcome_key, platform.';
