create view palimpsest.open_close as
select
    t.sr_id,
    f.home_team,
    f.away_team,
    f.tournament,
    f.country,
    t.effective_kickoff,
    t.effective_kickoff as kickoff,
    t.platform,
    t.market_key,
    t.specifier,
    t.outcome_key,
    t.open_odds,
    t.open_quality,
    t.open_observed_at,
    t.open_minutes_to_kickoff,
    t.close_odds,
    t.close_quality,
    t.close_observed_at,
    t.close_last_confirmed_at,
    t.close_lag_s,
    t.move_rel,
    t.min_odds,
    t.max_odds,
    t.n_changes,
    t.open_margin,
    t.close_margin,
    t.prev_absent_cycle,
    t.kickoff_version,
    t.kickoff_date,
    t.as_of,
    t.mapping_version
from mart.open_close t
left join palimpsest.fixtures f using (sr_id);

comment on view palimpsest.open_close is 'First and last price of each outcome before kickoff, each with its quality. Key: sr_id, platform, market_key, specifier, outcome_key.';
comment on column palimpsest.open_close.sr_id is 'SportRadar id.';
comment on column palimpsest.open_close.home_team is 'Home side in the chosen claim.';
comment on column palimpsest.open_close.away_team is 'Away side in the chosen claim.';
comment on column palimpsest.open_close.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.open_close.country is 'Country; null when no platform gives one.';
comment on column palimpsest.open_close.kickoff is 'The same as effective_kickoff.';
comment on column palimpsest.open_close.effective_kickoff is 'Kickoff for which open and close were computed.';
comment on column palimpsest.open_close.platform is 'Platform.';
comment on column palimpsest.open_close.market_key is 'Market of the vocabulary.';
comment on column palimpsest.open_close.specifier is 'Canonical specifier; '''' when the market has none.';
comment on column palimpsest.open_close.outcome_key is 'Outcome of the vocabulary, or the outcome''s own name where a market has open outcomes.';
comment on column palimpsest.open_close.open_odds is 'First price before kickoff that could be backed; null without one.';
comment on column palimpsest.open_close.open_quality is 'Quality of the opening price: how close it is to the first price that existed; null without one.';
comment on column palimpsest.open_close.open_observed_at is 'Time of the answer that showed this price.';
comment on column palimpsest.open_close.open_minutes_to_kickoff is 'From open_observed_at to the effective kickoff, minutes.';
comment on column palimpsest.open_close.close_odds is 'Last price before kickoff that could be backed; null without one, and until kickoff.';
comment on column palimpsest.open_close.close_quality is 'Quality of the closing price: how close it is to the price at kickoff; null until kickoff.';
comment on column palimpsest.open_close.close_observed_at is 'Time of the answer with which this price began.';
comment on column palimpsest.open_close.close_last_confirmed_at is 'Time of the last answer before kickoff that showed this price.';
comment on column palimpsest.open_close.close_lag_s is 'From close_last_confirmed_at to the effective kickoff, seconds.';
comment on column palimpsest.open_close.move_rel is 'close_odds / open_odds - 1.';
comment on column palimpsest.open_close.min_odds is 'Lowest price that could be backed before kickoff.';
comment on column palimpsest.open_close.max_odds is 'Highest price that could be backed before kickoff.';
comment on column palimpsest.open_close.n_changes is 'Changes before kickoff of the price, or of whether it could be backed; the first price does not count.';
comment on column palimpsest.open_close.open_margin is 'Margin of the market at open_observed_at; null when it cannot be computed.';
comment on column palimpsest.open_close.close_margin is 'Margin of the market at close_last_confirmed_at; null when it cannot be computed.';
comment on column palimpsest.open_close.prev_absent_cycle is 'Last earlier cycle that proved that there was no price; null when none did.';
comment on column palimpsest.open_close.kickoff_version is 'Number of that kickoff among the platform''s claims, from 1.';
comment on column palimpsest.open_close.kickoff_date is 'UTC date of the effective kickoff.';
comment on column palimpsest.open_close.as_of is 'Time of the latest cycle used. Nothing later was known.';
comment on column palimpsest.open_close.mapping_version is 'Version of the market vocabulary.';
