create view palimpsest.competitor_tournaments as
select
    core.natural_id(t.platform, t.external_id) as id,
    t.platform as source,
    t.external_id,
    t.name,
    t.name as tournament,
    t.sport,
    t.country_raw,
    t.country_iso,
    coalesce(t.sr_tournament_id, substring(l.tournament_key from '^sr:([0-9]+)$')::bigint) as sportradar_id,
    coalesce(t.sr_tournament_id, substring(l.tournament_key from '^sr:([0-9]+)$')::bigint) as sr_id,
    t.deleted_at,
    t.first_seen_at as created_at,
    t.last_seen_at as updated_at
from core.tournament_listings t
left join core.tournament_links l using (platform, external_id)
where t.platform <> (select palimpsest.home_platform());

comment on view palimpsest.competitor_tournaments is 'Tournaments of the competitors. Key: id.';
comment on column palimpsest.competitor_tournaments.id is 'Id of the tournament of the competitor: an integer made from its own id, which never changes.';
comment on column palimpsest.competitor_tournaments.external_id is 'The platform''s own tournament id; unique per source.';
comment on column palimpsest.competitor_tournaments.tournament is 'The same as name.';
comment on column palimpsest.competitor_tournaments.country_raw is 'Country or region as the platform writes it; null when it gives none.';
comment on column palimpsest.competitor_tournaments.sr_id is 'The same as sportradar_id: of the tournament, not of a fixture.';
comment on column palimpsest.competitor_tournaments.sportradar_id is 'SportRadar tournament id: its own, or that of the linked tournament; null when unknown.';
