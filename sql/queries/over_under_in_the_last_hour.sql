-- How did over/under 2.5 move in the last hour, on every platform, for fixtures that kick off within a day?
select p.observed_at, p.kickoff, p.sr_id, p.home_team, p.away_team, p.platform, p.outcome_key, p.previous_odds, p.odds,
    round(p.odds / p.previous_odds - 1, 4) as change_rel, p.state, p.is_active
from palimpsest.price_changes p
where p.kickoff between now() and now() + interval '24 hours' and p.is_primary
    and p.market_key = 'total_goals' and p.specifier = 'total=2.5'
    and p.observed_at >= now() - interval '1 hour'
    and (p.previous_odds is not null or p.state <> 'offered')  -- the first price that was seen is no move
order by p.observed_at desc, p.sr_id, p.platform, p.outcome_key;
