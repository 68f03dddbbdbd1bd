-- Against which competitor, and in which tournaments, do we lack most of the main markets?
select platform, country, tournament, n_fixtures, n_home_missing_main, n_home_missing, n_home_suspended_only, n_platform_missing_main, next_kickoff
from palimpsest.gaps_by_tournament
order by n_home_missing_main desc, n_home_missing desc, platform, tournament_key
limit 40;
