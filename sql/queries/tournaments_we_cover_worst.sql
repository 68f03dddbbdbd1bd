-- In which tournaments do competitors have most fixtures that we lack, how many does each platform have, and when is the next kickoff of these?
select country, tournament, total, competitor_only, fixtures_by_platform, listed_by_home_rate, next_missing_kickoff
from palimpsest.coverage_tournaments
where competitor_only > 0
order by competitor_only desc, next_missing_kickoff
limit 25;
