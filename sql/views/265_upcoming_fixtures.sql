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
comment on column palimpsest.upcoming_fixtures.sr_id is 'SportRadar id.';
comment on column palimpsest.upcoming_fixtures.home_team is 'Home side in the chosen claim.';
comment on column palimpsest.upcoming_fixtures.away_team is 'Away side in the chosen claim.';
comment on column palimpsest.upcoming_fixtures.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.upcoming_fixtures.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.upcoming_fixtures.country is 'Country; null when no platform gives one.';
comment on column palimpsest.upcoming_fixtures.kickoff is 'Effective kickoff.';
