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

comment on view palimpsest.lead_time is 'Time before kickoff at which each platform listed and priced a fixture, compared with home. Key: sr_id, platform.';
comment on column palimpsest.lead_time.sr_id is 'SportRadar id.';
comment on column palimpsest.lead_time.home_team is 'Home side in the chosen claim.';
comment on column palimpsest.lead_time.away_team is 'Away side in the chosen claim.';
comment on column palimpsest.lead_time.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.lead_time.country is 'Country; null when no platform gives one.';
comment on column palimpsest.lead_time.kickoff is 'The same as effective_kickoff.';
comment on column palimpsest.lead_time.effective_kickoff is 'Kickoff for which the lead was computed.';
comment on column palimpsest.lead_time.platform is 'Platform.';
comment on column palimpsest.lead_time.first_listed_at is 'First time an answer showed the listing.';
comment on column palimpsest.lead_time.listed_censored is 'True when no complete discovery before first_listed_at proves that it was not listed, so it may have been listed earlier.';
comment on column palimpsest.lead_time.first_priced_at is 'First answer with a price; null without one.';
comment on column palimpsest.lead_time.first_market_depth is 'Markets with a price in that answer.';
comment on column palimpsest.lead_time.lead_days_listed is 'From first_listed_at to the effective kickoff, days.';
comment on column palimpsest.lead_time.lead_days_priced is 'From first_priced_at to the effective kickoff, days.';
comment on column palimpsest.lead_time.home_lead_diff_days is 'lead_days_listed minus that of the home platform, positive when this platform was earlier; null when home does not list it.';
comment on column palimpsest.lead_time.kickoff_at_first_listing is 'Kickoff that the platform stated at that time; null when all stated kickoffs were refused as absurd.';
comment on column palimpsest.lead_time.n_markets_at_72h is 'Markets priced in the last answer up to 72 h before kickoff; null without one.';
comment on column palimpsest.lead_time.n_markets_at_24h is 'Markets priced in the last answer up to 24 h before kickoff; null without one.';
comment on column palimpsest.lead_time.n_markets_at_1h is 'Markets priced in the last answer up to 1 h before kickoff; null without one.';
comment on column palimpsest.lead_time.last_seen_at is 'Last time an answer showed the listing.';
comment on column palimpsest.lead_time.ended_by is 'Reason for the end: kickoff, dropped (before kickoff) or unknown; null while it is listed.';
comment on column palimpsest.lead_time.kickoff_date is 'UTC date of the effective kickoff.';
comment on column palimpsest.lead_time.as_of is 'Time of the latest cycle used. Nothing later was known.';
comment on column palimpsest.lead_time.mapping_version is 'Version of the market vocabulary.';
