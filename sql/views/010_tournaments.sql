create view palimpsest.tournaments as
select
    core.natural_id(t.platform, t.external_id) as id,
    t.sport,
    t.name,
    t.name as tournament,
    t.country_raw as country,
    coalesce(t.sr_tournament_id, substring(l.tournament_key from '^sr:([0-9]+)$')::bigint) as sportradar_id,
    coalesce(t.sr_tournament_id, substring(l.tournament_key from '^sr:([0-9]+)$')::bigint) as sr_id,
    t.first_seen_at as created_at,
    t.last_seen_at as updated_at
from core.tournament_listings t
left join core.tournament_links l using (platform, external_id)
where t.platform = (select palimpsest.home_platform());

comment on view palimpsest.tournaments is 'Tournaments of the home platform. Key: id.';
comment on column palimpsest.tournaments.id is 'Id of the tournament of the home platform: an integer made from its own id, which never changes.';
comment on column palimpsest.tournaments.tournament is 'The same as name.';
comment on column palimpsest.tournaments.name is 'Name as the home platform writes it.';
comment on column palimpsest.tournaments.country is 'Country as the home platform writes it; null when it gives none.';
comment on column palimpsest.tournaments.sr_id is 'The same as sportradar_id: of the tournament, not of a fixture.';
comment on column palimpsest.tournaments.sportradar_id is 'SportRadar tournament id: its own, or that of the linked tournament; null when unknown.';
