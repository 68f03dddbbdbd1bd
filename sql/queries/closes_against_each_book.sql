-- How do our exact closing prices of match results compare with each competitor's exact closes, by tournament, over the last seven days?
select h.country, h.tournament, c.platform, count(distinct h.sr_id) as n_fixtures, count(*) as n_prices,
    round(avg(h.close_odds / c.close_odds - 1)::numeric, 4) as mean_difference,
    round(avg((h.close_odds > c.close_odds)::integer), 4) as share_higher, round(avg((h.close_odds < c.close_odds)::integer), 4) as share_lower
from palimpsest.open_close h
join palimpsest.open_close c using (sr_id, market_key, specifier, outcome_key)
where h.platform = palimpsest.home_platform() and c.platform <> h.platform
    and h.close_quality = 'exact' and c.close_quality = 'exact'
    and h.kickoff_date >= (now() at time zone 'UTC')::date - 7 and c.kickoff_date >= (now() at time zone 'UTC')::date - 7
    and market_key = 'match_result'
group by h.country, h.tournament, c.platform
order by abs(avg(h.close_odds / c.close_odds - 1)) desc, h.tournament, c.platform;
