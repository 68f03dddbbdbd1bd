-- Which match results moved most from their first to their last price before kickoff?
select kickoff, home_team, away_team, platform, outcome_key, open_odds, close_odds, round(move_rel::numeric, 4) as move_rel, n_changes,
    open_quality, close_quality
from palimpsest.open_close
where market_key = 'match_result' and move_rel is not null
order by abs(move_rel) desc, sr_id, platform, outcome_key
limit 50;
