-- How good were our first match-result prices against each platform's exact close, by tournament?
select c.tournament, c.country, c.platform as close_platform, count(distinct c.sr_id) as n_fixtures, count(*) as n_prices,
    round(avg(o.open_odds / c.close_odds - 1), 4) as mean_clv,
    round(avg(o.open_odds * c.fair_power - 1)::numeric, 4) as mean_clv_power
from palimpsest.open_close o
join palimpsest.bookmakers b using (platform)
join palimpsest.closing_prices c using (sr_id, market_key, specifier, outcome_key)
where b.is_home and market_key = 'match_result' and o.open_odds is not null
    and (c.is_home or c.suspect_code is null or c.suspect_code not in ('kickoff_mismatch', 'home_away_swapped'))
group by c.tournament, c.country, c.platform
order by mean_clv_power desc nulls last, c.tournament, c.country, c.platform
limit 50;
