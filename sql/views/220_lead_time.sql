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
comment on column palimpsest.lead_time.kickoff is 'The same as effective_kickoff.';
