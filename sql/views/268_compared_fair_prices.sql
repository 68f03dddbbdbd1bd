-- The columns about home are the same in the rows of all competitors, so home's prices are in the row of the first one.
create view palimpsest.compared_fair_prices as
select
    p.sr_id,
    n.market_key,
    n.market,
    n.specifier,
    n.outcome_keys[a.place] as outcome_key,
    n.outcomes[a.place] as outcome,
    a.outcome_order,
    s.home_platform::text as home_platform,
    s.platform::text as platform,
    s.is_home,
    s.is_in_consensus,
    s.odds_milli[a.place] * 0.001 as odds,
    s.margin,
    1000::double precision / s.odds_milli[a.place] * s.share as fair_multiplicative,
    w.fair_power[a.place] as fair_power,
    w.fair_shin[a.place] as fair_shin,
    c.answered_at as last_confirmed_at,
    c.as_of,
    c.mapping_version
from mart.price_comparison p
join mart.compared_listing r using (sr_id, platform)
join ops.line_names n using (line_id)
cross join lateral (
    select
        p.sr_id,
        r.home_platform,
        r.home_platform as platform,
        true as is_home,
        false as is_in_consensus,
        p.home_odds_milli as odds_milli,
        p.home_off_mask as off_mask,
        p.home_margin as margin,
        p.home_share as share
    where p.home_odds_milli is not null and not exists (
        select from mart.price_comparison q where q.sr_id = p.sr_id and q.line_id = p.line_id and q.platform < p.platform
    )
    union all
    select
        p.sr_id,
        r.home_platform,
        p.platform,
        false,
        r.comparable,
        p.platform_odds_milli,
        p.platform_off_mask,
        p.platform_margin,
        p.platform_share
    where p.platform_odds_milli is not null
) s
join mart.compared_listing c on c.sr_id = s.sr_id and c.platform = s.platform
-- The offset lets Postgres compute a method once per line, and only when its column is read.
cross join lateral (
    select
        palimpsest.fair_power(d.odds, d.winners) as fair_power,
        palimpsest.fair_shin(d.odds, d.winners) as fair_shin
    from (
        select
            case when s.margin is not null then array(select u.milli / 1000::double precision from unnest(s.odds_milli) with ordinality u (milli, place) order by u.place) end as odds,
            n.winners_k as winners
        offset 0
    ) d
    offset 0
) w
cross join lateral unnest(n.outcome_orders) with ordinality a (outcome_order, place)
where s.odds_milli[a.place] is not null and coalesce((s.off_mask >> (a.place - 1)::integer) & 1 = 0, true);

comment on view palimpsest.compared_fair_prices is 'The rows of fair_prices without names of fixtures, including fixtures that have begun since prices were last derived. Key: sr_id, market_key, specifier, outcome_key, platform.';
comment on column palimpsest.compared_fair_prices.outcome_key is 'Outcome of the vocabulary. The view has no rows for open outcomes, such as players.';
comment on column palimpsest.compared_fair_prices.outcome is 'Its display name.';
comment on column palimpsest.compared_fair_prices.outcome_order is 'Its position in the vocabulary, for sorting.';
comment on column palimpsest.compared_fair_prices.home_platform is 'Home platform for which it was computed.';
comment on column palimpsest.compared_fair_prices.platform is 'Platform, home or a competitor.';
comment on column palimpsest.compared_fair_prices.is_home is 'True for the home platform.';
comment on column palimpsest.compared_fair_prices.is_in_consensus is 'True for a competitor whose answer is near home''s in time, and whose listing is not suspected of offering different bets.';
comment on column palimpsest.compared_fair_prices.odds is 'Decimal odds.';
comment on column palimpsest.compared_fair_prices.margin is 'Margin of the market on the platform; null when it cannot be computed.';
comment on column palimpsest.compared_fair_prices.fair_multiplicative is 'Fair probability by the multiplicative method: the margin distributed evenly; null without a margin, and when an outcome would be certain.';
comment on column palimpsest.compared_fair_prices.fair_power is 'Fair probability by the power method; null without a margin.';
comment on column palimpsest.compared_fair_prices.fair_shin is 'Fair probability by Shin''s method; null without a margin, and unless exactly one outcome of the market wins.';
comment on column palimpsest.compared_fair_prices.last_confirmed_at is 'Time of the platform''s last answer about the fixture.';
