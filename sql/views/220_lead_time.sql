create view palimpsest.lead_time as
select
    t.sr_id,
    f.home_team,
    f.away_team,
    f.tournament,
    f.country,
    t.effective_kickoff,
    t.effective_kickoff as kickoff,
    t.platform,
    t.first_listed_at,
    t.listed_censored,
    t.first_priced_at,
    t.first_market_depth,
    t.lead_days_listed,
    t.lead_days_priced,
    t.home_lead_diff_days,
    t.kickoff_at_first_listing,
    t.n_markets_at_72h,
    t.n_markets_at_24h,
    t.n_markets_at_1h,
    t.last_seen_at,
    t.ended_by,
    t.kickoff_date,
    t.as_of,
    t.mapping_version
from mart.listing_lead_time t
left join palimpsest.fixtures f using (sr_id);

comment on view palimpsest.lead_time is 'How long before kickoff each platform listed and priced a fixture, and who was first. Key: sr_id, platform.';
comment on column palimpsest.lead_time.sr_id is 'SportRadar id.';
comment on column palimpsest.lead_time.home_team is 'Home side of the chosen claim.';
comment on column palimpsest.lead_time.away_team is 'Away side of the chosen claim.';
comment on column palimpsest.lead_time.tournament is 'Tournament name: home''s, else by trust.';
comment on column palimpsest.lead_time.country is 'Country; null when nobody gives one.';
comment on column palimpsest.lead_time.kickoff is 'The same as effective_kickoff.';
comment on column palimpsest.lead_time.effective_kickoff is 'Kickoff that the lead refers to.';
comment on column palimpsest.lead_time.platform is 'Platform.';
comment on column palimpsest.lead_time.first_listed_at is 'First time an answer showed the listing.';
comment on column palimpsest.lead_time.listed_censored is 'No complete discovery before first_listed_at proves that it was not listed: it may be older.';
comment on column palimpsest.lead_time.first_priced_at is 'First answer with a price; null without one.';
comment on column palimpsest.lead_time.first_market_depth is 'Markets priced in that answer.';
comment on column palimpsest.lead_time.lead_days_listed is 'From first_listed_at to the effective kickoff, days.';
comment on column palimpsest.lead_time.lead_days_priced is 'From first_priced_at to the effective kickoff, days.';
comment on column palimpsest.lead_time.home_lead_diff_days is 'lead_days_listed less that of the home platform: positive when this platform was earlier; null when home does not list it.';
comment on column palimpsest.lead_time.kickoff_at_first_listing is 'Kickoff the platform claimed then; null when all it claimed were refused as absurd.';
comment on column palimpsest.lead_time.n_markets_at_72h is 'Markets priced in the last answer up to 72 h before kickoff; null without one.';
comment on column palimpsest.lead_time.n_markets_at_24h is 'Markets priced in the last answer up to 24 h before kickoff; null without one.';
comment on column palimpsest.lead_time.n_markets_at_1h is 'Markets priced in the last answer up to 1 h before kickoff; null without one.';
comment on column palimpsest.lead_time.last_seen_at is 'Last time an answer showed the listing.';
comment on column palimpsest.lead_time.ended_by is 'What ended it: kickoff, dropped before it, unknown; null while it is listed.';
comment on column palimpsest.lead_time.kickoff_date is 'UTC date of the effective kickoff.';
comment on column palimpsest.lead_time.as_of is 'Latest cycle it rests on: nothing later was known.';
comment on column palimpsest.lead_time.mapping_version is 'Version of the market vocabulary.';
