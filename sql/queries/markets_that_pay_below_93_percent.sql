-- Which of our main markets pay out less than 93 % now, and what is the best payout of a competitor?
select m.kickoff, m.tournament, m.home_team, m.away_team, m.market, m.specifier, round(m.payout::numeric, 4) as home_payout,
    c.platform as best_competitor, round(c.payout::numeric, 4) as best_payout
from palimpsest.margins_now m
left join (
    select distinct on (sr_id, market_key, specifier) sr_id, market_key, specifier, platform, payout
    from palimpsest.margins_now
    where not is_home and can_be_backed and payout is not null
        and market_key in ('match_result', 'total_goals', 'both_teams_to_score', 'double_chance')
    order by sr_id, market_key, specifier, payout desc, platform
) c using (sr_id, market_key, specifier)
where m.is_home and m.can_be_backed and m.payout < 0.93
    and m.market_key in ('match_result', 'total_goals', 'both_teams_to_score', 'double_chance')
order by m.payout, m.sr_id, m.market_key, m.specifier;
