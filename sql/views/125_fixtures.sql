create view palimpsest.fixtures as
select
    f.sr_id,
    f.sport,
    f.home_team,
    f.away_team,
    f.tournament_key,
    t.display_name as tournament,
    t.country,
    f.effective_kickoff as kickoff,
    f.suspect_code
from core.fixtures f
left join core.tournaments t using (tournament_key);

comment on view palimpsest.fixtures is 'Fixtures with the names that all views use: a tournament that platforms spell differently has one name and one country. Key: sr_id.';
comment on column palimpsest.fixtures.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.fixtures.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.fixtures.country is 'Country; null when no platform gives one.';
comment on column palimpsest.fixtures.kickoff is 'Effective kickoff: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.fixtures.suspect_code is 'kickoff_mismatch: the listings'' kickoffs are far apart; home_away_swapped: a platform has the sides the other way round; duplicate_sr_id: another fixture looks like the same match; null without a suspicion.';
