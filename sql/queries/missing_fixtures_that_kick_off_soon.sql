-- Which fixtures that kick off within three days do competitors sell and we do not, and how deep are their books?
select kickoff, country, tournament, home_team, away_team, platform, n_markets_priced, n_prices, round(lead_days::numeric, 1) as lead_days
from palimpsest.competitor_only_events
where kickoff between now() and now() + interval '3 days'
order by kickoff, sr_id, platform;
