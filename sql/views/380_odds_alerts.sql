-- The kickoff ends an episode. The table records this only with the next cycle, so the view closes it by the clock.
create view palimpsest.odds_alerts as
select
    a.alert_id,
    case when a.closed_at is null and f.kickoff <= now() then 'closed' else a.status end as status,
    a.alert_type,
    a.severity,
    a.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    a.platform,
    a.market_key,
    k.name as market,
    a.specifier,
    a.outcome_key,
    coalesce(o.name, a.outcome_key) as outcome,
    a.baseline_odds,
    a.current_odds,
    a.change_rel,
    a.peak_change_rel,
    round(1 / a.current_odds - 1 / a.baseline_odds, 4) as peak_change_probability,
    a.window_minutes,
    a.baseline_at,
    a.competitor,
    a.competitor_odds,
    a.competitor_change_rel,
    a.opened_at,
    a.peak_at,
    coalesce(a.closed_at, case when f.kickoff <= now() then f.kickoff end) as closed_at,
    a.minutes_to_kickoff,
    x.acknowledged_at,
    x.acknowledged_by,
    a.kickoff_date,
    a.as_of,
    a.mapping_version
from mart.odds_alert a
left join palimpsest.fixtures f using (sr_id)
left join core.markets k using (market_key)
left join core.market_outcomes o on o.market_id = k.market_id and o.outcome_key = a.outcome_key
left join ops.acknowledged_odds_alerts x using (alert_id);

comment on view palimpsest.odds_alerts is 'Episodes of alerts to traders: one row from the passing of a threshold until the market is calm again; a price alert has one row per market. Key: alert_id.';
comment on column palimpsest.odds_alerts.alert_id is 'Id of the episode, for `palimpsest odds-alerts ack`.';
comment on column palimpsest.odds_alerts.status is 'open, acknowledged (open, and somebody has acknowledged it) or closed. No alert of a fixture that has begun, by the clock, is open.';
comment on column palimpsest.odds_alerts.kickoff is 'Effective kickoff; null when no platform lists the fixture any more.';
comment on column palimpsest.odds_alerts.market is 'Its display name; null for the listing as a whole.';
comment on column palimpsest.odds_alerts.outcome is 'Its display name.';
comment on column palimpsest.odds_alerts.baseline_odds is 'The outcome''s price at baseline_at; for home_outlier the median of the competitors; null when no price is compared.';
comment on column palimpsest.odds_alerts.peak_change_probability is 'Change of the implied probability at the peak, which decides the severity: 1 / current_odds - 1 / baseline_odds.';
comment on column palimpsest.odds_alerts.closed_at is 'Time of the observation that ended the alert, or the kickoff; null while it is open.';
comment on column palimpsest.odds_alerts.acknowledged_at is 'When somebody acknowledged it; null when nobody did.';
