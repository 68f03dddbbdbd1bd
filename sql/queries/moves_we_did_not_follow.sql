-- Which open price moves of competitors have we not followed, and what is our price now?
select a.severity, a.opened_at, a.platform, a.kickoff, a.home_team, a.away_team, a.market, a.specifier, a.outcome, a.baseline_odds, a.current_odds,
    round(a.peak_change_rel::numeric, 4) as peak_change_rel, p.home_odds, p.platform_odds as platform_odds_now
from palimpsest.odds_alerts a
left join palimpsest.price_comparison p using (sr_id, market_key, specifier, outcome_key, platform)
where a.alert_type = 'price_move' and a.status <> 'closed' and a.platform <> palimpsest.home_platform()
    and not exists (
        select from palimpsest.odds_alerts h
        where h.alert_type = 'price_move' and h.platform = palimpsest.home_platform()
            and (h.sr_id, h.market_key, h.specifier, h.outcome_key) = (a.sr_id, a.market_key, a.specifier, a.outcome_key)
            and sign(h.peak_change_rel) = sign(a.peak_change_rel) and h.peak_at >= a.baseline_at
    )
order by abs(a.peak_change_probability) desc, a.alert_id;
