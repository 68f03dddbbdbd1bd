create view palimpsest.price_comparison as
select
    p.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    p.market_key,
    p.market,
    p.specifier,
    p.outcome_key,
    p.outcome,
    p.outcome_order,
    p.home_platform,
    p.platform,
    p.home_odds,
    p.platform_odds,
    p.comparable,
    p.diff_abs,
    p.diff_rel,
    p.best_platform,
    p.best_odds,
    p.home_is_best,
    p.home_tied_best,
    p.rank_home,
    p.fair_home_prob,
    p.fair_platform_prob,
    p.home_margin,
    p.platform_margin,
    p.margin_diff,
    p.winners_k,
    p.cross_book_sum_inverse,
    p.arb,
    p.home_state,
    p.platform_state,
    p.skew_s,
    p.home_last_confirmed_at,
    p.platform_last_confirmed_at,
    p.as_of,
    p.mapping_version
from palimpsest.compared_prices p
join palimpsest.upcoming_fixtures f using (sr_id);

comment on view palimpsest.price_comparison is 'Current prices of each outcome on home and each competitor, of fixtures that have not begun. Key: sr_id, market_key, specifier, outcome_key, platform.';
comment on column palimpsest.price_comparison.sr_id is 'SportRadar id.';
comment on column palimpsest.price_comparison.home_team is 'Home side in the chosen claim.';
comment on column palimpsest.price_comparison.away_team is 'Away side in the chosen claim.';
comment on column palimpsest.price_comparison.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.price_comparison.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.price_comparison.country is 'Country; null when no platform gives one.';
comment on column palimpsest.price_comparison.kickoff is 'Effective kickoff.';
comment on column palimpsest.price_comparison.market_key is 'Market of the vocabulary.';
comment on column palimpsest.price_comparison.market is 'Its display name.';
comment on column palimpsest.price_comparison.specifier is 'Canonical specifier; '''' when the market has none.';
comment on column palimpsest.price_comparison.outcome_key is 'Outcome of the vocabulary. The view has no rows for open outcomes, such as players.';
comment on column palimpsest.price_comparison.outcome is 'Its display name.';
comment on column palimpsest.price_comparison.outcome_order is 'Its position in the vocabulary, for sorting.';
comment on column palimpsest.price_comparison.home_platform is 'Home platform for which it was computed.';
comment on column palimpsest.price_comparison.platform is 'Competitor compared with home.';
comment on column palimpsest.price_comparison.home_odds is 'Decimal odds of home; null without a price.';
comment on column palimpsest.price_comparison.platform_odds is 'Decimal odds of the competitor; null without a price.';
comment on column palimpsest.price_comparison.comparable is 'True when both can be backed, their answers are at most PALIMPSEST_MAX_SKEW_S apart, and both listings are not suspected of offering different bets (suspect_code kickoff_mismatch or home_away_swapped).';
comment on column palimpsest.price_comparison.diff_abs is 'home_odds - platform_odds; null unless comparable.';
comment on column palimpsest.price_comparison.diff_rel is 'home_odds / platform_odds - 1; null unless comparable.';
comment on column palimpsest.price_comparison.best_platform is 'Platform with the best price, among home and the competitors whose answers are close to home''s and to each other''s in time; of equal prices home''s, then the most trusted platform''s; null when home cannot be backed.';
comment on column palimpsest.price_comparison.best_odds is 'Odds of best_platform.';
comment on column palimpsest.price_comparison.home_is_best is 'True when home alone has the best price; null when home is comparable with none.';
comment on column palimpsest.price_comparison.home_tied_best is 'True when home shares the best price with another platform; null like home_is_best.';
comment on column palimpsest.price_comparison.rank_home is 'Rank of home: 1 + the number of comparable competitors with a better price.';
comment on column palimpsest.price_comparison.fair_home_prob is 'Probability implied by home''s prices, with the margin distributed evenly; null without a margin.';
comment on column palimpsest.price_comparison.fair_platform_prob is 'Probability implied by the competitor''s prices, with the margin distributed evenly; null without a margin.';
comment on column palimpsest.price_comparison.home_margin is 'Margin of the market on home; null when it cannot be computed.';
comment on column palimpsest.price_comparison.platform_margin is 'Margin of the market on the competitor; null when it cannot be computed.';
comment on column palimpsest.price_comparison.margin_diff is 'home_margin - platform_margin, positive when home is more expensive.';
comment on column palimpsest.price_comparison.winners_k is 'Outcomes of the market that win; null when unknown.';
comment on column palimpsest.price_comparison.cross_book_sum_inverse is 'Sum of 1 / best odds over the market''s outcomes, from answers at most PALIMPSEST_MAX_SKEW_S apart; null unless the set is complete and every outcome has a best price.';
comment on column palimpsest.price_comparison.arb is 'True when cross_book_sum_inverse is below winners_k, so that backing each outcome at its best price wins; null without that sum. See the function arbitrage.';
comment on column palimpsest.price_comparison.home_state is 'State on home.';
comment on column palimpsest.price_comparison.platform_state is 'State on the competitor.';
comment on column palimpsest.price_comparison.skew_s is 'Time between the two last answers in seconds, never negative.';
comment on column palimpsest.price_comparison.home_last_confirmed_at is 'Time of home''s last answer about the fixture.';
comment on column palimpsest.price_comparison.platform_last_confirmed_at is 'Time of the competitor''s last answer about the fixture.';
comment on column palimpsest.price_comparison.as_of is 'Time of the latest answer of any platform about the fixture. Nothing later was known.';
comment on column palimpsest.price_comparison.mapping_version is 'Version of the market vocabulary.';
