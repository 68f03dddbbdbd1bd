-- For how many minutes before kickoff was a main market suspended with us while a competitor offered it, by fixture since yesterday?
with intervals as (
    select sr_id, kickoff, home_team, away_team, market_key, specifier, platform = palimpsest.home_platform() as is_home, state,
        tstzrange(valid_from, least(greatest(coalesce(valid_to, as_of), valid_from), greatest(kickoff, valid_from))) as during
    from palimpsest.availability
    where kickoff_date >= (now() at time zone 'UTC')::date - 1
        and market_key in ('match_result', 'total_goals', 'both_teams_to_score', 'double_chance')
),
shared as (
    select sr_id, kickoff, home_team, away_team, market_key, specifier,
        range_agg(during) filter (where is_home and state = 'suspended')
            * range_agg(during) filter (where not is_home and state = 'offered') as during
    from intervals
    group by sr_id, kickoff, home_team, away_team, market_key, specifier
)
select o.kickoff, o.home_team, o.away_team, o.market_key, o.specifier,
    round(sum(extract(epoch from upper(s.span) - lower(s.span))) / 60, 1) as minutes, count(*) as n_times, max(upper(s.span)) as last_until
from shared o
cross join lateral unnest(o.during) as s (span)
group by o.sr_id, o.kickoff, o.home_team, o.away_team, o.market_key, o.specifier
order by minutes desc, o.sr_id, o.market_key, o.specifier;
