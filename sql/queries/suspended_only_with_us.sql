-- Which main markets are suspended on home while a competitor offers them, the longest first?
select kickoff, home_team, away_team, market, specifier, platform, home_state, gap_open_since, round(gap_minutes::numeric) as gap_minutes
from palimpsest.gaps
where gap_type = 'home_suspended_only' and market_priority is not null
order by gap_minutes desc, sr_id, market_key, specifier, platform
limit 50;
