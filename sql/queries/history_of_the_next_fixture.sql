-- How did the match-result prices of the next fixture change, on all platforms? (For another fixture put its SportRadar id in place of the subquery.)
select observed_at, platform, outcome, odds, previous_odds, round(change_rel::numeric, 4) as change_rel, state, is_active
from palimpsest.fixture_history(
    (select sr_id from palimpsest.find_events(availability => 'matched') limit 1),
    market_key => 'match_result'
);
