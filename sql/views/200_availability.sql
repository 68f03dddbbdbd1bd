create view palimpsest.availability as
select
    t.sr_id,
    f.home_team,
    f.away_team,
    f.tournament,
    f.country,
    f.kickoff,
    t.platform,
    t.market_key,
    t.specifier,
    t.state,
    t.valid_from,
    t.valid_to,
    t.minutes_to_kickoff_at_start,
    t.n_outcomes_active,
    t.n_outcomes,
    t.n_confirmations,
    t.last_confirmed_at,
    t.first_cycle,
    t.last_cycle,
    t.reason_detail,
    t.kickoff_date,
    t.as_of,
    t.mapping_version
from mart.availability_interval t
left join palimpsest.fixtures f using (sr_id);

comment on view palimpsest.availability is 'Intervals in which a platform offered, suspended or lacked a market of a fixture; market_key ''*'' is the listing as a whole. Key: sr_id, platform, market_key, specifier, valid_from.';
comment on column palimpsest.availability.kickoff is 'Effective kickoff; null when no platform lists the fixture any more.';
