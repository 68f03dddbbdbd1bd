create view palimpsest.competitor_only_events as
select
    f.id,
    f.sportradar_id,
    f.sr_id,
    f.home_team,
    f.away_team,
    f.kickoff,
    f.started,
    f.sport,
    f.country,
    f.tournament_key,
    f.tournament,
    f.metadata_source,
    e.platform,
    e.external_id,
    e.home_team || ' - ' || e.away_team as platform_name,
    e.kickoff_at as platform_kickoff,
    e.n_markets_priced,
    a.n_prices,
    a.observed_at as last_confirmed_at,
    e.first_seen_at as first_listed_at,
    l.listed_censored,
    extract(epoch from f.kickoff - e.first_seen_at)::double precision / 86400 as lead_days,
    f.cycle_id,
    f.as_of
from palimpsest.coverage_events f
join core.event_listings e on e.fixture_sr_id = f.sportradar_id and e.is_primary and e.kind = 'match' and e.platform = any(f.platforms)
left join lateral (
    select c.n_prices, c.observed_at
    from core.captures c
    where c.listing_id = e.listing_id
    order by c.observed_at desc
    limit 1
) a on true
left join mart.listing_lead_time l on l.sr_id = f.sportradar_id and l.platform = e.platform
where f.availability = 'competitor_only';

comment on view palimpsest.competitor_only_events is 'Fixtures that home is known to lack, one row for each platform that lists them, as of the latest cycle in coverage_cycles. Key: sportradar_id, platform.';
comment on column palimpsest.competitor_only_events.id is 'SportRadar id, negative: the home platform does not list the fixture.';
comment on column palimpsest.competitor_only_events.kickoff is 'Kickoff in the chosen claim.';
comment on column palimpsest.competitor_only_events.metadata_source is 'Platform whose claim was chosen: the most trusted one.';
comment on column palimpsest.competitor_only_events.platform is 'Platform that lists it.';
comment on column palimpsest.competitor_only_events.external_id is 'The platform''s own event id (of its primary listing, if it has several).';
comment on column palimpsest.competitor_only_events.platform_name is 'Both sides as the platform writes them, home side first.';
comment on column palimpsest.competitor_only_events.n_prices is 'Priced outcomes in its latest answer; null when no answer is in Postgres.';
comment on column palimpsest.competitor_only_events.last_confirmed_at is 'Time of its latest answer; null like n_prices.';
comment on column palimpsest.competitor_only_events.first_listed_at is 'First time an answer showed the listing.';
comment on column palimpsest.competitor_only_events.listed_censored is 'True when it may have been listed before first_listed_at, because no earlier discovery proves that it was not; null until its lead time is derived.';
comment on column palimpsest.competitor_only_events.lead_days is 'From first_listed_at to the kickoff, days.';
