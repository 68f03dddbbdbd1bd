create view palimpsest.listings_now as
select
    c.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    c.platform::text as platform,
    c.platform = c.home_platform as is_home,
    e.external_id,
    c.answered_at as last_confirmed_at,
    c.dropped_at,
    c.comparable,
    c.as_of,
    c.computed_at
from mart.compared_listing c
join palimpsest.upcoming_fixtures f using (sr_id)
left join core.event_listings e on e.fixture_sr_id = c.sr_id and e.platform = c.platform::text and e.is_primary;

comment on view palimpsest.listings_now is 'The platforms'' listings of fixtures that have not begun, home''s included. A platform without a row does not list the fixture, as far as is known. Key: sr_id, platform.';
comment on column palimpsest.listings_now.platform is 'Platform, home or a competitor.';
comment on column palimpsest.listings_now.is_home is 'True for the home platform.';
comment on column palimpsest.listings_now.external_id is 'The platform''s own event id (of its primary listing).';
