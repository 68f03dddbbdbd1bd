-- In which tournaments do competitors list fixtures of the next 24 hours that we lack, and do we lack the whole tournament?
select e.country, e.tournament, t.home_lacks_tournament, count(distinct e.sr_id) as n_missing, array_agg(distinct l.platform order by l.platform) as platforms,
    min(e.kickoff) as next_kickoff
from palimpsest.coverage_events e
join palimpsest.coverage_tournaments t using (tournament_key)
cross join lateral unnest(e.platforms) as l (platform)
where e.availability = 'competitor_only' and e.kickoff between now() and now() + interval '24 hours'
group by e.tournament_key, e.country, e.tournament, t.home_lacks_tournament
order by t.home_lacks_tournament desc, n_missing desc, next_kickoff, e.tournament_key;
