create view palimpsest.best_prices as
select
    b.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    b.market_key,
    b.market,
    b.specifier,
    b.outcome_keys[o.place] as outcome_key,
    b.outcomes[o.place] as outcome,
    o.outcome_order,
    r.best_platform::text as best_platform,
    b.best_odds_milli[r.place] * 0.001 as best_odds,
    c.answered_at as best_confirmed_at,
    s.betpawa * 0.001 as betpawa_odds,
    s.sportybet * 0.001 as sportybet_odds,
    s.bet9ja * 0.001 as bet9ja_odds,
    b.home_platform::text as home_platform,
    b.home_odds_milli[r.place] * 0.001 as home_odds,
    b.rank_home[r.place] = 1 and not r.is_tied as home_is_best,
    case when b.rank_home[r.place] is not null then r.is_tied end as home_tied_best,
    b.rank_home[r.place] as rank_home,
    (
        select count(*)::smallint from generate_subscripts(b.compared_milli, 1) k
        where b.compared_milli[k][r.place] is not null and (b.compared_off_masks[k] >> (r.place - 1)) & 1 = 0
    ) as n_compared,
    b.winners_k,
    b.cross_book_sum_inverse,
    b.arb,
    b.as_of
from (
    -- One row per line first, then one per outcome. The columns about home are the same in the rows of all competitors.
    select
        p.sr_id,
        n.market_key,
        n.market,
        n.specifier,
        n.winners_k,
        n.outcome_keys,
        n.outcomes,
        n.outcome_orders,
        c.home_platform,
        max(p.home_odds_milli) as home_odds_milli,
        max(p.home_tied_best_mask) as home_tied_best_mask,
        max(p.best_platform) as best_platform,
        max(p.best_odds_milli) as best_odds_milli,
        max(p.rank_home) as rank_home,
        max(p.cross_book_sum_inverse) as cross_book_sum_inverse,
        bool_or(p.arb) as arb,
        max(c.as_of) as as_of,
        array_agg(p.platform_odds_milli order by p.platform) filter (where c.comparable and p.platform_odds_milli is not null) as compared_milli,
        array_agg(coalesce(p.platform_off_mask, 0) order by p.platform)
            filter (where c.comparable and p.platform_odds_milli is not null) as compared_off_masks,
        max(p.platform_odds_milli) filter (where p.platform = 'betpawa' and c.comparable) as betpawa_milli,
        max(p.platform_off_mask) filter (where p.platform = 'betpawa') as betpawa_off_mask,
        max(p.platform_odds_milli) filter (where p.platform = 'sportybet' and c.comparable) as sportybet_milli,
        max(p.platform_off_mask) filter (where p.platform = 'sportybet') as sportybet_off_mask,
        max(p.platform_odds_milli) filter (where p.platform = 'bet9ja' and c.comparable) as bet9ja_milli,
        max(p.platform_off_mask) filter (where p.platform = 'bet9ja') as bet9ja_off_mask
    from mart.price_comparison p
    join mart.compared_listing c using (sr_id, platform)
    join ops.line_names n using (line_id)
    where p.best_platform is not null
    -- market_key is a group column so that Postgres can apply a filter on it before grouping.
    group by p.sr_id, n.line_id, n.market_key, c.home_platform
) b
join palimpsest.upcoming_fixtures f using (sr_id)
cross join lateral unnest(b.outcome_orders) with ordinality o (outcome_order, place)
cross join lateral (
    select
        a.place,
        b.best_platform[a.place] as best_platform,
        coalesce((b.home_tied_best_mask >> (a.place - 1)) & 1 = 1, false) as is_tied
    from (select o.place::integer as place) a
    offset 0
) r
cross join lateral (
    select
        case
            when b.home_platform = 'betpawa' then b.home_odds_milli[r.place]
            when coalesce((b.betpawa_off_mask >> (r.place - 1)) & 1 = 0, true) then b.betpawa_milli[r.place]
        end as betpawa,
        case
            when b.home_platform = 'sportybet' then b.home_odds_milli[r.place]
            when coalesce((b.sportybet_off_mask >> (r.place - 1)) & 1 = 0, true) then b.sportybet_milli[r.place]
        end as sportybet,
        case
            when b.home_platform = 'bet9ja' then b.home_odds_milli[r.place]
            when coalesce((b.bet9ja_off_mask >> (r.place - 1)) & 1 = 0, true) then b.bet9ja_milli[r.place]
        end as bet9ja
    offset 0
) s
join mart.compared_listing c on c.sr_id = b.sr_id and c.platform = r.best_platform
where r.best_platform is not null;

comment on view palimpsest.best_prices is 'Best current price of each outcome that home sells, with a column for each of three platforms (best_price_platforms has all), of fixtures that have not begun. An outcome that home does not list, or that cannot be backed there, is not in this view, even if others offer it: see gaps. Key: sr_id, market_key, specifier, outcome_key.';
comment on column palimpsest.best_prices.outcome_key is 'Outcome of the vocabulary. The view has no rows for open outcomes, such as players.';
comment on column palimpsest.best_prices.outcome is 'Its display name.';
comment on column palimpsest.best_prices.outcome_order is 'Its position in the vocabulary, for sorting.';
comment on column palimpsest.best_prices.best_platform is 'Platform with the best price, among home and the competitors whose answers are close to home''s and to each other''s in time; of equal prices home''s, then the most trusted platform''s.';
comment on column palimpsest.best_prices.best_odds is 'Decimal odds of best_platform.';
comment on column palimpsest.best_prices.best_confirmed_at is 'Time of best_platform''s last answer about the fixture: the best price may be this old.';
comment on column palimpsest.best_prices.betpawa_odds is 'Decimal odds on BetPawa; null when the outcome cannot be backed there, or not be compared with home.';
comment on column palimpsest.best_prices.sportybet_odds is 'Decimal odds on SportyBet; null when the outcome cannot be backed there, or not be compared with home.';
comment on column palimpsest.best_prices.bet9ja_odds is 'Decimal odds on Bet9ja; null when the outcome cannot be backed there, or not be compared with home.';
comment on column palimpsest.best_prices.home_platform is 'Home platform for which it was computed.';
comment on column palimpsest.best_prices.home_odds is 'Decimal odds on home.';
comment on column palimpsest.best_prices.home_is_best is 'True when home alone has the best price; null when home is comparable with none.';
comment on column palimpsest.best_prices.home_tied_best is 'True when home shares the best price with another platform; null like home_is_best.';
comment on column palimpsest.best_prices.rank_home is 'Rank of home: 1 + the number of comparable competitors with a better price; null like home_is_best.';
comment on column palimpsest.best_prices.n_compared is 'Competitors whose price is comparable with home''s.';
comment on column palimpsest.best_prices.cross_book_sum_inverse is 'Sum of 1 / best odds over the market''s outcomes, from answers at most PALIMPSEST_MAX_SKEW_S apart; null unless the set is complete and every outcome has a best price.';
comment on column palimpsest.best_prices.arb is 'True when cross_book_sum_inverse is below winners_k, so that backing each outcome at its best price wins; null without that sum. See the function arbitrage.';
comment on column palimpsest.best_prices.as_of is 'Time of the latest answer of any platform about the fixture. Nothing later was known.';
