create view palimpsest.best_price_platforms as
select
    b.sr_id,
    b.market_key,
    b.specifier,
    b.outcome_key,
    s.platform,
    s.odds,
    s.odds = b.best_odds as is_best,
    b.home_platform
from palimpsest.best_prices b
cross join lateral (
    select p.platform, p.platform_odds as odds
    from palimpsest.compared_prices p
    where p.sr_id = b.sr_id and p.market_key = b.market_key and p.specifier = b.specifier and p.outcome_key = b.outcome_key and p.comparable
    union all
    select b.home_platform, b.home_odds
) s;

comment on view palimpsest.best_price_platforms is 'The prices behind best_prices, with a row per platform: home, and the competitors whose price can be backed and compared with home''s. Key: sr_id, market_key, specifier, outcome_key, platform.';
comment on column palimpsest.best_price_platforms.platform is 'Platform, home or a competitor.';
comment on column palimpsest.best_price_platforms.odds is 'Decimal odds.';
comment on column palimpsest.best_price_platforms.is_best is 'True when its odds are best_odds of best_prices. A price above them does not count: its answer is too far in time from another platform''s.';
