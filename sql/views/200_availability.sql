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
comment on column palimpsest.availability.sr_id is 'SportRadar id.';
comment on column palimpsest.availability.home_team is 'Home side in the chosen claim.';
comment on column palimpsest.availability.away_team is 'Away side in the chosen claim.';
comment on column palimpsest.availability.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.availability.country is 'Country; null when no platform gives one.';
comment on column palimpsest.availability.kickoff is 'Effective kickoff; null when no platform lists the fixture any more.';
comment on column palimpsest.availability.platform is 'Platform.';
comment on column palimpsest.availability.market_key is 'Market of the vocabulary; ''*'' for the listing as a whole.';
comment on column palimpsest.availability.specifier is 'Canonical specifier; '''' when the market has none.';
comment on column palimpsest.availability.state is 'State in the interval, or the reason why it is not known.';
comment on column palimpsest.availability.valid_from is 'Start of the interval: the answer or discovery that shows it, the kickoff, or the moment when the last observation became too old.';
comment on column palimpsest.availability.valid_to is 'End of the interval, not included: valid_from of the next interval; null while the interval lasts.';
comment on column palimpsest.availability.minutes_to_kickoff_at_start is 'From valid_from to the effective kickoff, minutes; negative after it.';
comment on column palimpsest.availability.n_outcomes_active is 'Outcomes that could be backed at the start of the interval; null when not observed, and for the listing as a whole.';
comment on column palimpsest.availability.n_outcomes is 'Outcomes listed at the start of the interval; null when not observed, and for the listing as a whole.';
comment on column palimpsest.availability.n_confirmations is 'Observations that showed the state, including the first.';
comment on column palimpsest.availability.last_confirmed_at is 'Time of the last observation that showed the state; null without one.';
comment on column palimpsest.availability.first_cycle is 'First cycle that showed the state; null when no cycle did (kickoff, or no observation).';
comment on column palimpsest.availability.last_cycle is 'Last cycle that confirmed the state; null like first_cycle.';
comment on column palimpsest.availability.reason_detail is 'Reason why the state is not known, or why it ended, in words; '''' when an answer shows it.';
comment on column palimpsest.availability.kickoff_date is 'UTC date of the effective kickoff.';
comment on column palimpsest.availability.as_of is 'Time of the latest cycle used. Nothing later was known.';
comment on column palimpsest.availability.mapping_version is 'Version of the market vocabulary.';
