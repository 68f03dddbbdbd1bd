-- Which outcomes did several platforms shorten within minutes, in the last day?
select steam_at, home_team, away_team, kickoff, market, specifier, outcome, first_platform, n_platforms, platforms,
    round(duration_s::numeric) as duration_s, round(mean_rise::numeric, 4) as mean_rise
from palimpsest.steam
where steam_at > now() - interval '1 day'
order by steam_at desc, sr_id, market_key, specifier, outcome_key
limit 100;
