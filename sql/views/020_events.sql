create view palimpsest.events as
select
    e.listing_id as id,
    core.natural_id(e.platform, e.tournament_external_id) as tournament_id,
    coalesce(o.display_name, t.name) as tournament,
    e.home_team || ' - ' || e.away_team as name,
    e.home_team,
    e.away_team,
    e.kickoff_at as kickoff,
    coalesce(e.fixture_sr_id, e.sr_id) as sportradar_id,
    coalesce(e.fixture_sr_id, e.sr_id) as sr_id,
    e.first_seen_at as created_at,
    e.last_seen_at as updated_at
from core.event_listings e
left join core.tournament_listings t on t.platform = e.platform and t.external_id = e.tournament_external_id
left join core.fixtures f on f.sr_id = e.fixture_sr_id
left join core.tournaments o using (tournament_key)
where e.kind = 'match' and e.platform = (select palimpsest.home_platform());

comment on view palimpsest.events is 'Matches that the home platform lists or has listed, one row per listing. Key: id.';
comment on column palimpsest.events.id is 'Id of the event on the home platform.';
comment on column palimpsest.events.tournament_id is 'Its tournament: tournaments.id.';
comment on column palimpsest.events.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s; the listing''s own without a fixture.';
comment on column palimpsest.events.name is 'Both sides, home side first.';
comment on column palimpsest.events.home_team is 'Home side as the home platform writes it.';
comment on column palimpsest.events.away_team is 'Away side as the home platform writes it.';
comment on column palimpsest.events.kickoff is 'Kickoff that the home platform states now; null when it was refused as absurd.';
comment on column palimpsest.events.sr_id is 'The same as sportradar_id.';
comment on column palimpsest.events.sportradar_id is 'SportRadar id of the fixture; null when unidentified.';
