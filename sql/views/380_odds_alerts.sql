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
comment on column palimpsest.odds_alerts.alert_type is 'price_move, direction_disagreement, market_disappeared, market_returned, event_dropped or home_outlier.';
comment on column palimpsest.odds_alerts.severity is 'Size of the change of the implied probability at its peak: low, medium or high (PALIMPSEST_ODDS_ALERT_LEVELS).';
comment on column palimpsest.odds_alerts.sr_id is 'SportRadar id.';
comment on column palimpsest.odds_alerts.home_team is 'Home side in the chosen claim.';
comment on column palimpsest.odds_alerts.away_team is 'Away side in the chosen claim.';
comment on column palimpsest.odds_alerts.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.odds_alerts.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.odds_alerts.country is 'Country; null when no platform gives one.';
comment on column palimpsest.odds_alerts.kickoff is 'Effective kickoff; null when no platform lists the fixture any more.';
comment on column palimpsest.odds_alerts.platform is 'Platform that the alert is about.';
comment on column palimpsest.odds_alerts.market_key is 'Market of the vocabulary; ''*'' for the listing as a whole.';
comment on column palimpsest.odds_alerts.market is 'Its display name; null for the listing as a whole.';
comment on column palimpsest.odds_alerts.specifier is 'Canonical specifier; '''' when the market has none.';
comment on column palimpsest.odds_alerts.outcome_key is 'Outcome with the largest deviation at the peak; '''' when no price is compared.';
comment on column palimpsest.odds_alerts.outcome is 'Its display name.';
comment on column palimpsest.odds_alerts.baseline_odds is 'The outcome''s price at baseline_at; for home_outlier the median of the competitors; null when no price is compared.';
comment on column palimpsest.odds_alerts.current_odds is 'The outcome''s price at the peak.';
comment on column palimpsest.odds_alerts.change_rel is 'Value of peak_change_rel when the alert opened, for the outcome with the largest deviation at that time.';
comment on column palimpsest.odds_alerts.peak_change_rel is 'current_odds / baseline_odds - 1. For direction_disagreement this is home''s change, and the smaller of both changes decides the peak.';
comment on column palimpsest.odds_alerts.peak_change_probability is 'Change of the implied probability at the peak, which decides the severity: 1 / current_odds - 1 / baseline_odds.';
comment on column palimpsest.odds_alerts.window_minutes is 'Window over which prices moved, in minutes; null when no prices are compared over time.';
comment on column palimpsest.odds_alerts.baseline_at is 'Time of baseline_odds: one window before peak_at (for direction_disagreement up to PALIMPSEST_MAX_SKEW_S earlier); for home_outlier peak_at; null without a price.';
comment on column palimpsest.odds_alerts.competitor is 'Competitor that moved in the opposite direction; null for types other than direction_disagreement.';
comment on column palimpsest.odds_alerts.competitor_odds is 'The competitor''s price at the peak.';
comment on column palimpsest.odds_alerts.competitor_change_rel is 'Change of the competitor''s price over the window, at the peak.';
comment on column palimpsest.odds_alerts.opened_at is 'Time of the answer that passed the threshold; for event_dropped, of the discovery that lacked the listing.';
comment on column palimpsest.odds_alerts.peak_at is 'Time of the answer that first showed the largest deviation; null when no price is compared.';
comment on column palimpsest.odds_alerts.closed_at is 'Time of the observation that ended the alert, or the kickoff; null while it is open.';
comment on column palimpsest.odds_alerts.minutes_to_kickoff is 'From opened_at to the effective kickoff, minutes.';
comment on column palimpsest.odds_alerts.acknowledged_at is 'When somebody acknowledged it; null when nobody did.';
comment on column palimpsest.odds_alerts.acknowledged_by is 'Name of the person who acknowledged it, as that person gave it.';
comment on column palimpsest.odds_alerts.kickoff_date is 'UTC date of the effective kickoff.';
comment on column palimpsest.odds_alerts.as_of is 'Time of the latest observation of the fixture before its kickoff. Nothing later was known.';
comment on column palimpsest.odds_alerts.mapping_version is 'Version of the market vocabulary.';
