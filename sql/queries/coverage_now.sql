-- How much of what the market offers do we list, overall and platform by platform?
select platform, total, matched, home_only, competitor_only, undetermined, match_rate, evidence
from palimpsest.coverage_statistics
order by platform = 'all' desc, platform;
