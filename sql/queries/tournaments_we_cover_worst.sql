-- In which tournaments do competitors have most fixtures that we lack, how many does each platform have, and when is the next kickoff of these?
select t.country, t.tournament, t.total, t.competitor_only, p.fixtures_by_platform, t.listed_by_home_rate, t.next_missing_kickoff
from palimpsest.coverage_tournaments t
cross join lateral (
    select jsonb_object_agg(platform, fixtures) as fixtures_by_platform
    from palimpsest.coverage_tournament_platforms
    where tournament_key = t.tournament_key
) p
where t.competitor_only > 0
order by t.competitor_only desc, t.next_missing_kickoff
limit 25;
