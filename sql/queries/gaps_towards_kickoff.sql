-- Do gaps close towards kickoff? Markets that only home or only the competitor offered 72 h, 24 h, 1 h and 0 h before kickoff.
select platform, hours_before, count(*) as n_fixtures, round(avg(n_both), 1) as mean_both,
    round(avg(n_home_missing), 1) as mean_home_missing, round(avg(n_platform_missing), 1) as mean_platform_missing
from palimpsest.gap_counts
where home_platform = (select palimpsest.home_platform())
group by platform, hours_before
order by platform, hours_before desc;
