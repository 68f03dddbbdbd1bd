-- Which alerts are open, the most severe first?
select severity, alert_type, platform, home_team, away_team, kickoff, market, specifier, outcome, baseline_odds, current_odds,
    round(peak_change_rel::numeric, 4) as peak_change_rel, opened_at
from palimpsest.odds_alerts
where status = 'open'
order by array_position(array['high', 'medium', 'low'], severity::text), abs(peak_change_rel) desc nulls last, opened_at desc
limit 100;
