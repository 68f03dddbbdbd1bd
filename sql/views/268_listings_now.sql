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
comment on column palimpsest.listings_now.sr_id is 'SportRadar id.';
comment on column palimpsest.listings_now.home_team is 'Home side in the chosen claim.';
comment on column palimpsest.listings_now.away_team is 'Away side in the chosen claim.';
comment on column palimpsest.listings_now.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.listings_now.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.listings_now.country is 'Country; null when no platform gives one.';
comment on column palimpsest.listings_now.kickoff is 'Effective kickoff.';
comment on column palimpsest.listings_now.platform is 'Platform, home or a competitor.';
comment on column palimpsest.listings_now.is_home is 'True for the home platform.';
comment on column palimpsest.listings_now.external_id is 'The platform''s own event id (of its primary listing).';
comment on column palimpsest.listings_now.last_confirmed_at is 'Time of the platform''s last answer about the fixture; null without one.';
comment on column palimpsest.listings_now.dropped_at is 'Time from which complete discoveries lack the listing; null while it is listed.';
comment on column palimpsest.listings_now.comparable is 'True when its answer and home''s are at most PALIMPSEST_MAX_SKEW_S apart, and neither listing is suspected of offering different bets. False for home itself.';
comment on column palimpsest.listings_now.as_of is 'Time of the latest answer of any platform about the fixture. Nothing later was known.';
comment on column palimpsest.listings_now.computed_at is 'When it was computed.';
