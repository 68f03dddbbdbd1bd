-- Views of the present state use only these fixtures, because the tables keep a fixture that has begun until the cycle after its kickoff.
create view palimpsest.upcoming_fixtures as
select
    f.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff
from palimpsest.fixtures f
where f.kickoff > now();

comment on view palimpsest.upcoming_fixtures is 'Fixtures that have not begun, by the database''s clock. The views of current prices and gaps show these. Key: sr_id.';
