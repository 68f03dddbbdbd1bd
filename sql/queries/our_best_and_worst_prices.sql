-- Which 25 of our main prices are furthest above every competitor now, and which 25 are furthest below the best one?
with compared as (
    select sr_id, kickoff, home_team, away_team, market_key, market, specifier, outcome_key, outcome, home_odds,
        max(platform_odds) as best_competitor_odds, (array_agg(platform order by platform_odds desc, platform))[1] as best_competitor,
        count(*) as n_compared
    from palimpsest.price_comparison
    where comparable and market_key in ('match_result', 'total_goals', 'both_teams_to_score', 'double_chance')
    group by sr_id, kickoff, home_team, away_team, market_key, market, specifier, outcome_key, outcome, home_odds
),
ranked as (
    select c.*, r.difference, row_number() over (order by r.difference desc, sr_id, market_key, specifier, outcome_key) as rank_best,
        row_number() over (order by r.difference, sr_id, market_key, specifier, outcome_key) as rank_worst
    from compared c
    cross join lateral (select c.home_odds / c.best_competitor_odds - 1 as difference) r
)
select case when difference > 0 then 'best' else 'worst' end as side, kickoff, home_team, away_team, market, specifier, outcome, home_odds,
    best_competitor, best_competitor_odds, round(difference::numeric, 4) as difference, n_compared
from ranked
where (difference > 0 and rank_best <= 25) or (difference < 0 and rank_worst <= 25)
order by difference desc, sr_id, market_key, specifier, outcome_key;
