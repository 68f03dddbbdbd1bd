-- Which matches are suspicious: kickoffs far apart, sides swapped, one match under two ids?
select suspect_code, kickoff, tournament, home_team, away_team, platforms, sr_id
from palimpsest.coverage_events
where suspect_code is not null
order by suspect_code, kickoff, sr_id;
