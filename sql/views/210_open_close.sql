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
comment on column palimpsest.open_close.kickoff is 'The same as effective_kickoff.';
