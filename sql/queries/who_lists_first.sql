-- Which platform lists fixtures first? Lead before kickoff by platform, and how often it was earlier than home.
select platform, count(*) as n_fixtures, round(avg(lead_days_listed)::numeric, 2) as mean_lead_days,
    round(avg(home_lead_diff_days)::numeric, 2) as mean_days_before_home, count(*) filter (where home_lead_diff_days > 0) as n_before_home,
    round(avg(listed_censored::integer), 4) as share_censored
from palimpsest.lead_time
group by platform
order by mean_lead_days desc nulls last, platform;
