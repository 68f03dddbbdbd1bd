-- With the kickoff an episode is over, which the table says with the cycle after it only.
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

comment on view palimpsest.odds_alerts is 'What traders are told of: one row an episode, from where a threshold is passed until things have calmed down; of prices one row a market. Key: alert_id.';
comment on column palimpsest.odds_alerts.alert_id is 'Episode: `palimpsest odds-alerts ack` takes it.';
comment on column palimpsest.odds_alerts.status is 'open, acknowledged (open, and somebody has seen it), closed; by the clock, of a fixture that has begun none is open.';
comment on column palimpsest.odds_alerts.alert_type is 'price_move, direction_disagreement, market_disappeared, market_returned, event_dropped, home_outlier.';
comment on column palimpsest.odds_alerts.severity is 'How large the change of the implied probability was at its peak: low, medium, high (PALIMPSEST_ODDS_ALERT_LEVELS).';
comment on column palimpsest.odds_alerts.sr_id is 'SportRadar id.';
comment on column palimpsest.odds_alerts.home_team is 'Home side of the chosen claim.';
comment on column palimpsest.odds_alerts.away_team is 'Away side of the chosen claim.';
comment on column palimpsest.odds_alerts.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.odds_alerts.tournament is 'Tournament name: home''s, else by trust.';
comment on column palimpsest.odds_alerts.country is 'Country; null when nobody gives one.';
comment on column palimpsest.odds_alerts.kickoff is 'Effective kickoff; null when nobody lists the fixture any more.';
comment on column palimpsest.odds_alerts.platform is 'Platform it is about.';
comment on column palimpsest.odds_alerts.market_key is 'Market of the vocabulary; ''*'' for the listing as a whole.';
comment on column palimpsest.odds_alerts.market is 'Its name for people; null for the listing as a whole.';
comment on column palimpsest.odds_alerts.specifier is 'Canonical specifier; '''' when the market has none.';
comment on column palimpsest.odds_alerts.outcome_key is 'Outcome that was furthest off, at the peak; '''' where no price is compared.';
comment on column palimpsest.odds_alerts.outcome is 'Its name for people.';
comment on column palimpsest.odds_alerts.baseline_odds is 'The outcome''s price a window before the peak; home_outlier: median of the competitors''; null where no price is compared.';
comment on column palimpsest.odds_alerts.current_odds is 'The outcome''s price at the peak.';
comment on column palimpsest.odds_alerts.change_rel is 'What peak_change_rel was when it opened, of the outcome that was furthest off then.';
comment on column palimpsest.odds_alerts.peak_change_rel is 'current_odds / baseline_odds - 1; of direction_disagreement, where the smaller of both changes counts, home''s.';
comment on column palimpsest.odds_alerts.peak_change_probability is 'The same of the implied probability, which severity goes by: 1 / current_odds - 1 / baseline_odds.';
comment on column palimpsest.odds_alerts.window_minutes is 'Window over which prices moved, minutes; null where none is compared over time.';
comment on column palimpsest.odds_alerts.baseline_at is 'Instant of baseline_odds: a window before peak_at (of direction_disagreement they may be older by PALIMPSEST_MAX_SKEW_S); home_outlier: peak_at; null without a price.';
comment on column palimpsest.odds_alerts.competitor is 'Competitor that moved the other way; null but for direction_disagreement.';
comment on column palimpsest.odds_alerts.competitor_odds is 'Its price at the peak.';
comment on column palimpsest.odds_alerts.competitor_change_rel is 'Its change over the window, at the peak.';
comment on column palimpsest.odds_alerts.opened_at is 'Answer that passed the threshold; event_dropped: discovery that lacked the listing.';
comment on column palimpsest.odds_alerts.peak_at is 'Answer that first showed it at its largest; null where no price is compared.';
comment on column palimpsest.odds_alerts.closed_at is 'Look with which it was over, or the kickoff; null while it is open.';
comment on column palimpsest.odds_alerts.minutes_to_kickoff is 'From opened_at to the effective kickoff, minutes.';
comment on column palimpsest.odds_alerts.acknowledged_at is 'When somebody said that he has seen it; null when nobody did.';
comment on column palimpsest.odds_alerts.acknowledged_by is 'Who, as he named himself.';
comment on column palimpsest.odds_alerts.kickoff_date is 'UTC date of the effective kickoff.';
comment on column palimpsest.odds_alerts.as_of is 'Latest look at the fixture before its kickoff: nothing later was known.';
comment on column palimpsest.odds_alerts.mapping_version is 'Version of the market vocabulary.';
