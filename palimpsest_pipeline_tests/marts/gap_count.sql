-- Markets offered by home, a competitor or both so many hours before kickoff, from the definition, over the intervals in mart.availability_interval.
-- Parameters: day, home.
with instants as (
    select l.sr_id, l.platform, h.hours_before, l.effective_kickoff - make_interval(hours => h.hours_before) as at
    from mart.listing_lead_time l
    cross join (values (72), (24), (1), (0)) as h (hours_before)
    where l.kickoff_date = %(day)s and l.effective_kickoff - make_interval(hours => h.hours_before) <= l.as_of
),
stood as materialized (
    select n.hours_before, i.*
    from instants n
    join mart.availability_interval i using (sr_id, platform)
    where i.valid_from < n.at and (i.valid_to >= n.at or i.valid_to is null)
),
listed as (
    select sr_id, platform, hours_before, bool_or(state = 'not_observed') as unobserved
    from stood
    group by sr_id, platform, hours_before
    having bool_or(market_key = '*')
),
pairs as (
    select
        c.sr_id, c.platform, c.hours_before,
        case when h.unobserved then 'not_observed' else 'never' end as home_default,
        case when c.unobserved then 'not_observed' else 'never' end as their_default
    from listed c
    join listed h using (sr_id, hours_before)
    where h.platform = %(home)s and c.platform <> %(home)s
),
compared as (
    select
        p.sr_id, p.platform, p.hours_before,
        coalesce(max(s.state) filter (where s.platform = %(home)s), p.home_default) as home,
        coalesce(max(s.state) filter (where s.platform = p.platform), p.their_default) as theirs
    from pairs p
    join stood s using (sr_id, hours_before)
    where s.market_key <> '*' and s.platform in (p.platform, %(home)s)
    group by p.sr_id, p.platform, p.hours_before, p.home_default, p.their_default, s.market_key, s.specifier
)
select
    p.sr_id, p.platform, p.hours_before, f.tournament_key,
    count(*) filter (where home = 'offered' and theirs = 'offered') as n_both,
    count(*) filter (where theirs = 'offered' and home in ('never', 'withdrawn', 'event_dropped')) as n_home_missing,
    count(*) filter (where home = 'offered' and theirs in ('never', 'withdrawn', 'event_dropped')) as n_platform_missing,
    count(*) filter (where theirs = 'offered' and home in ('suspended', 'no_price')) as n_home_suspended,
    count(*) filter (where home = 'offered' and theirs in ('suspended', 'no_price')) as n_platform_suspended,
    count(*) filter (where 'offered' in (home, theirs) and 'not_observed' in (home, theirs)) as n_unknown
from pairs p
join core.fixtures f using (sr_id)
left join compared c using (sr_id, platform, hours_before)
group by p.sr_id, p.platform, p.hours_before, f.tournament_key
