-- One row per outcome, from the rows per line of mart.price_comparison. `place` is the position of the outcome in the line's arrays.
-- Most masks are null. Testing that first is faster than computing with each of them.
create view palimpsest.compared_prices as
select
    p.sr_id,
    n.market_key,
    n.market,
    n.specifier,
    n.outcome_keys[a.place] as outcome_key,
    n.outcomes[a.place] as outcome,
    a.outcome_order,
    c.home_platform::text as home_platform,
    p.platform::text as platform,
    r.home_milli * 0.001 as home_odds,
    r.platform_milli * 0.001 as platform_odds,
    s.may_be_compared and r.home_milli is not null and r.platform_milli is not null as comparable,
    case when s.may_be_compared then (r.home_milli - r.platform_milli)::double precision / 1000 end as diff_abs,
    case when s.may_be_compared then r.home_milli::double precision / r.platform_milli - 1 end as diff_rel,
    p.best_platform[a.place]::text as best_platform,
    p.best_odds_milli[a.place] * 0.001 as best_odds,
    r.rank_home = 1 and not r.is_tied as home_is_best,
    case when r.rank_home is not null then r.is_tied end as home_tied_best,
    r.rank_home as rank_home,
    1000::double precision / r.home_milli * p.home_share as fair_home_prob,
    1000::double precision / r.platform_milli * p.platform_share as fair_platform_prob,
    p.home_margin,
    p.platform_margin,
    p.home_margin - p.platform_margin as margin_diff,
    n.winners_k,
    p.cross_book_sum_inverse,
    p.arb,
    case
        when r.home_is_off then 'suspended'
        when r.home_milli is not null then 'offered'
        when p.home_state = 'withdrawn' then 'withdrawn'
        else 'no_price'
    end as home_state,
    case
        when r.platform_is_off then 'suspended'
        when r.platform_milli is not null then 'offered'
        when p.platform_state = 'withdrawn' then 'withdrawn'
        else 'no_price'
    end as platform_state,
    c.skew_s,
    c.home_answered_at as home_last_confirmed_at,
    c.answered_at as platform_last_confirmed_at,
    c.as_of,
    c.mapping_version,
    c.computed_at
from mart.price_comparison p
join mart.compared_listing c using (sr_id, platform)
join ops.line_names n using (line_id)
cross join lateral unnest(n.outcome_orders) with ordinality a (outcome_order, place)
cross join lateral (
    select
        p.home_odds_milli[a.place] as home_milli,
        p.platform_odds_milli[a.place] as platform_milli,
        p.home_off_mask is not null and (p.home_off_mask >> (a.place - 1)::integer) & 1 = 1 as home_is_off,
        p.platform_off_mask is not null and (p.platform_off_mask >> (a.place - 1)::integer) & 1 = 1 as platform_is_off,
        p.home_tied_best_mask is not null and (p.home_tied_best_mask >> (a.place - 1)::integer) & 1 = 1 as is_tied,
        p.rank_home[a.place] as rank_home
) r
cross join lateral (
    select c.comparable and not r.home_is_off and not r.platform_is_off as may_be_compared
) s
where r.home_milli is not null or r.platform_milli is not null or r.home_is_off or r.platform_is_off;

comment on view palimpsest.compared_prices is 'The rows of price_comparison without names of fixtures, including fixtures that have begun since prices were last derived. Key: sr_id, market_key, specifier, outcome_key, platform.';
comment on column palimpsest.compared_prices.outcome_key is 'Outcome of the vocabulary. The view has no rows for open outcomes, such as players.';
comment on column palimpsest.compared_prices.outcome is 'Its display name.';
comment on column palimpsest.compared_prices.outcome_order is 'Its position in the vocabulary, for sorting.';
comment on column palimpsest.compared_prices.home_platform is 'Home platform for which it was computed.';
comment on column palimpsest.compared_prices.platform is 'Competitor compared with home.';
comment on column palimpsest.compared_prices.home_odds is 'Decimal odds of home; null without a price.';
comment on column palimpsest.compared_prices.platform_odds is 'Decimal odds of the competitor; null without a price.';
comment on column palimpsest.compared_prices.comparable is 'True when both can be backed, their answers are at most PALIMPSEST_MAX_SKEW_S apart, and both listings are not suspected of offering different bets (suspect_code kickoff_mismatch or home_away_swapped).';
comment on column palimpsest.compared_prices.diff_abs is 'home_odds - platform_odds; null unless comparable.';
comment on column palimpsest.compared_prices.diff_rel is 'home_odds / platform_odds - 1; null unless comparable.';
comment on column palimpsest.compared_prices.best_platform is 'Platform with the best price, among home and the competitors whose answers are close to home''s and to each other''s in time; of equal prices home''s, then the most trusted platform''s; null when home cannot be backed.';
comment on column palimpsest.compared_prices.best_odds is 'Odds of best_platform.';
comment on column palimpsest.compared_prices.home_is_best is 'True when home alone has the best price; null when home is comparable with none.';
comment on column palimpsest.compared_prices.home_tied_best is 'True when home shares the best price with another platform; null like home_is_best.';
comment on column palimpsest.compared_prices.rank_home is 'Rank of home: 1 + the number of comparable competitors with a better price.';
comment on column palimpsest.compared_prices.fair_home_prob is 'Probability implied by home''s prices, with the margin distributed evenly; null without a margin.';
comment on column palimpsest.compared_prices.fair_platform_prob is 'Probability implied by the competitor''s prices, with the margin distributed evenly; null without a margin.';
comment on column palimpsest.compared_prices.margin_diff is 'home_margin - platform_margin, positive when home is more expensive.';
comment on column palimpsest.compared_prices.arb is 'True when cross_book_sum_inverse is below winners_k, so that backing each outcome at its best price wins; null without that sum. See the function arbitrage.';
comment on column palimpsest.compared_prices.home_state is 'State on home.';
comment on column palimpsest.compared_prices.platform_state is 'State on the competitor.';
comment on column palimpsest.compared_prices.skew_s is 'Time between the two last answers in seconds, never negative.';
comment on column palimpsest.compared_prices.home_last_confirmed_at is 'Time of home''s last answer about the fixture.';
comment on column palimpsest.compared_prices.platform_last_confirmed_at is 'Time of the competitor''s last answer about the fixture.';
