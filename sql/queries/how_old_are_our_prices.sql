-- How old are the prices that we compare, by platform and time to kickoff? (An answer has all markets of a fixture, so one market is enough.)
select platform, kicks_off, count(distinct sr_id) as n_fixtures, min(age) as youngest, max(age) as oldest
from (
    select platform, sr_id, kickoff, now() - last_confirmed_at as age,
        case when kickoff < now() + interval '2 hours' then 'within 2 h' when kickoff < now() + interval '1 day' then 'within a day' else 'later' end
            as kicks_off
    from palimpsest.margins_now
    where market_key = 'match_result'
) told
group by platform, kicks_off
order by platform, min(kickoff);
