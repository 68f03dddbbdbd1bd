-- Where do our prices differ most from a competitor's, among the main markets?
select kickoff, home_team, away_team, market, specifier, outcome, platform, home_odds, platform_odds, round(diff_rel::numeric, 4) as diff_rel,
    round(skew_s * 1000) / 1000 as skew_s
from palimpsest.price_comparison
where comparable and market_key in ('match_result', 'total_goals', 'both_teams_to_score', 'double_chance')
order by abs(diff_rel) desc, sr_id, market_key, specifier, outcome_key, platform
limit 50;
