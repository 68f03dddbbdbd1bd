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

comment on view palimpsest.price_comparison is 'Home''s price of each outcome against each competitor''s, as they stand, of fixtures that have not begun. Key: sr_id, market_key, specifier, outcome_key, platform.';
comment on column palimpsest.price_comparison.sr_id is 'SportRadar id.';
comment on column palimpsest.price_comparison.home_team is 'Home side of the chosen claim.';
comment on column palimpsest.price_comparison.away_team is 'Away side of the chosen claim.';
comment on column palimpsest.price_comparison.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.price_comparison.tournament is 'Tournament name: home''s, else by trust.';
comment on column palimpsest.price_comparison.country is 'Country; null when nobody gives one.';
comment on column palimpsest.price_comparison.kickoff is 'Effective kickoff.';
comment on column palimpsest.price_comparison.market_key is 'Market of the vocabulary.';
comment on column palimpsest.price_comparison.market is 'Its name for people.';
comment on column palimpsest.price_comparison.specifier is 'Canonical specifier; '''' when the market has none.';
comment on column palimpsest.price_comparison.outcome_key is 'Outcome of the vocabulary, or the outcome''s own name where a market has open outcomes.';
comment on column palimpsest.price_comparison.outcome is 'Its name for people.';
comment on column palimpsest.price_comparison.outcome_order is 'Its place in the vocabulary, to sort by; null for an open outcome.';
comment on column palimpsest.price_comparison.home_platform is 'Home platform it was computed for.';
comment on column palimpsest.price_comparison.platform is 'Competitor compared with home.';
comment on column palimpsest.price_comparison.home_odds is 'Decimal odds of home; null without a price.';
comment on column palimpsest.price_comparison.platform_odds is 'Decimal odds of the competitor; null without a price.';
comment on column palimpsest.price_comparison.comparable is 'Both can be backed, their answers are no further apart than PALIMPSEST_MAX_SKEW_S, and nothing makes it doubtful that both listings offer the same bets (suspect_code kickoff_mismatch, home_away_swapped).';
comment on column palimpsest.price_comparison.diff_abs is 'home_odds - platform_odds; null unless comparable.';
comment on column palimpsest.price_comparison.diff_rel is 'home_odds / platform_odds - 1; null unless comparable.';
comment on column palimpsest.price_comparison.best_platform is 'Who offers most, of home and competitors whose answers are near its and each other''s; home, then by trust, where several do; null when home cannot be backed.';
comment on column palimpsest.price_comparison.best_odds is 'What it offers.';
comment on column palimpsest.price_comparison.home_is_best is 'Home alone offers most; null when home is comparable with none.';
comment on column palimpsest.price_comparison.home_tied_best is 'Home offers most together with others; null like home_is_best.';
comment on column palimpsest.price_comparison.rank_home is '1 + how many comparable competitors offer more.';
comment on column palimpsest.price_comparison.fair_home_prob is 'Probability that home''s prices say, its margin shared out evenly; null without a margin.';
comment on column palimpsest.price_comparison.fair_platform_prob is 'The same of the competitor''s prices.';
comment on column palimpsest.price_comparison.home_margin is 'Margin of the market on home; null when it cannot be computed.';
comment on column palimpsest.price_comparison.platform_margin is 'Margin of the market on the competitor; null when it cannot be computed.';
comment on column palimpsest.price_comparison.margin_diff is 'home_margin - platform_margin: positive when home is dearer.';
comment on column palimpsest.price_comparison.winners_k is 'Outcomes of the market that win; null when unknown.';
comment on column palimpsest.price_comparison.cross_book_sum_inverse is 'Sum of the inverse best odds over the market''s outcomes, of answers near each other; null unless every outcome of a complete set has one.';
comment on column palimpsest.price_comparison.arb is 'That sum is below winners_k: backing each outcome at its best price wins; null without the sum. See the function arbitrage.';
comment on column palimpsest.price_comparison.home_state is 'State on home.';
comment on column palimpsest.price_comparison.platform_state is 'State on the competitor.';
comment on column palimpsest.price_comparison.skew_s is 'Between the two last answers, seconds, never negative.';
comment on column palimpsest.price_comparison.home_last_confirmed_at is 'Home''s last answer on the fixture.';
comment on column palimpsest.price_comparison.platform_last_confirmed_at is 'The competitor''s last answer on the fixture.';
comment on column palimpsest.price_comparison.as_of is 'Latest answer of any platform on the fixture: nothing later was known.';
comment on column palimpsest.price_comparison.mapping_version is 'Version of the market vocabulary.';
