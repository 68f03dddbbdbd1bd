-- How did the overall match rate develop over the last two weeks of full cycles?
select as_of, n_union as fixtures, n_matched_fixtures as matched, n_home_only as home_only, n_competitor_only as competitor_only,
    n_undetermined as undetermined, overall_match_rate, evidence
from mart.match_rate_platform
where platform = 'all' and not include_started and as_of > now() - interval '14 days'
order by as_of;
