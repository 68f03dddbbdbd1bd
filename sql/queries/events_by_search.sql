-- Where is a team or a tournament, whatever the spelling? (Put yours in place of 'united'.)
select id, availability, kickoff, home_team, away_team, tournament, country, platforms, tournament_total, tournament_matched
from palimpsest.find_events(search => 'united', sort => 'tournament');
