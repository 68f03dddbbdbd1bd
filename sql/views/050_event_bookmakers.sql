create view palimpsest.event_bookmakers as
select
    e.listing_id as id,
    e.listing_id as event_id,
    e.platform as bookmaker,
    e.external_id as external_event_id
from core.event_listings e
where e.kind = 'match' and e.platform = (select palimpsest.home_platform())
union all
select c.id, c.betpawa_event_id, c.source, c.external_id
from palimpsest.competitor_events c
join core.event_listings e on e.listing_id = c.id
where c.betpawa_event_id is not null and e.is_primary;

comment on view palimpsest.event_bookmakers is 'Bookmakers that list each home event, with their own event ids. One row per event and bookmaker. Key: event_id, bookmaker.';
comment on column palimpsest.event_bookmakers.id is 'The listing: events.id or competitor_events.id.';
comment on column palimpsest.event_bookmakers.event_id is 'Home event: events.id.';
comment on column palimpsest.event_bookmakers.bookmaker is 'Platform.';
comment on column palimpsest.event_bookmakers.external_event_id is 'The platform''s own event id (of its primary listing, if it has several for the fixture).';
