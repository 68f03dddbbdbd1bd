create view palimpsest.competitor_events as
select
    e.listing_id as id,
    e.platform as source,
    e.external_id,
    coalesce(e.fixture_sr_id, e.sr_id) as sportradar_id,
    coalesce(e.fixture_sr_id, e.sr_id) as sr_id,
    h.listing_id as betpawa_event_id,
    core.natural_id(e.platform, e.tournament_external_id) as tournament_id,
    coalesce(o.display_name, t.name) as tournament,
    e.home_team || ' - ' || e.away_team as name,
    e.home_team,
    e.away_team,
    e.kickoff_at as kickoff,
    e.deleted_at,
    e.first_seen_at as created_at,
    e.last_seen_at as updated_at
from core.event_listings e
left join core.tournament_listings t on t.platform = e.platform and t.external_id = e.tournament_external_id
left join core.fixtures f on f.sr_id = e.fixture_sr_id
left join core.tournaments o using (tournament_key)
left join core.event_listings h
    on h.fixture_sr_id = e.fixture_sr_id and h.is_primary and h.deleted_at is null and h.platform = (select palimpsest.home_platform())
where e.kind = 'match' and e.platform <> (select palimpsest.home_platform());

comment on view palimpsest.competitor_events is 'Matches that competitors list or have listed, one row per listing, each with the home event of the same fixture. Key: id.';
comment on column palimpsest.competitor_events.id is 'Id of the event on the competitor.';
comment on column palimpsest.competitor_events.external_id is 'The platform''s own event id; unique per source.';
comment on column palimpsest.competitor_events.sr_id is 'The same as sportradar_id.';
comment on column palimpsest.competitor_events.sportradar_id is 'SportRadar id of the fixture; null when unidentified.';
comment on column palimpsest.competitor_events.betpawa_event_id is 'The home platform''s event of the same fixture (events.id); null when only competitors list it. Computed by a join on every read, so the order of arrival does not matter.';
comment on column palimpsest.competitor_events.tournament_id is 'Its tournament: competitor_tournaments.id.';
comment on column palimpsest.competitor_events.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s; the listing''s own without a fixture.';
comment on column palimpsest.competitor_events.name is 'Both sides, home side first.';
