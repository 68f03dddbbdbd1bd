-- How did the overall match rate change over the last two weeks of full cycles?
select m.as_of, n_union as fixtures, n_matched_fixtures as matched, n_home_only as home_only, n_competitor_only as competitor_only,
    n_undetermined as undetermined, overall_match_rate, evidence
from mart.match_rate_platform m
join palimpsest.coverage_cycles c using (cycle_id)
where c.scope = 'full' and platform = 'all' and not include_started and m.as_of > now() - interval '14 days'
order by m.as_of;
