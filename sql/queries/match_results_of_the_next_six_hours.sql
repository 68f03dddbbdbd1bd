-- What does every platform offer on the results of the fixtures of the next six hours? (Fixtures that we list; home first.)
with prices as (
    select sr_id, kickoff, tournament, home_team, away_team, platform, false as is_home, outcome_key, platform_odds as odds, platform_state as state,
        platform_last_confirmed_at as last_confirmed_at
    from palimpsest.price_comparison
    where market_key = 'match_result' and kickoff <= now() + interval '6 hours'
    union  -- home's prices are in the rows of every competitor
    select sr_id, kickoff, tournament, home_team, away_team, home_platform, true, outcome_key, home_odds, home_state, home_last_confirmed_at
    from palimpsest.price_comparison
    where market_key = 'match_result' and kickoff <= now() + interval '6 hours'
)
select kickoff, tournament, home_team, away_team, platform,
    max(odds) filter (where outcome_key = 'home' and state = 'offered') as home_win,
    max(odds) filter (where outcome_key = 'draw' and state = 'offered') as draw,
    max(odds) filter (where outcome_key = 'away' and state = 'offered') as away_win,
    bool_or(state = 'suspended') as has_suspended, max(last_confirmed_at) as last_confirmed_at
from prices
group by sr_id, kickoff, tournament, home_team, away_team, platform, is_home
order by kickoff, sr_id, is_home desc, platform;
