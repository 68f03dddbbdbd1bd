create view palimpsest.markets as
select
    k.market_key,
    k.name,
    k.sport,
    k.period,
    k.family,
    k.line_kind,
    case when k.fair_sum ~ '^\d+$' then k.fair_sum::smallint end as winners_k,
    array(select x.outcome_key from core.market_outcomes x where x.market_id = k.market_id order by x.ordinal) as outcome_keys,
    array(select x.name from core.market_outcomes x where x.market_id = k.market_id order by x.ordinal) as outcomes,
    k.betpawa_market_id,
    k.note
from core.markets k;

comment on view palimpsest.markets is 'The market vocabulary: what market_key and outcome_key mean in all other views. Key: market_key.';
comment on column palimpsest.markets.market_key is 'Market, as all other views call it.';
comment on column palimpsest.markets.name is 'Name for people: BetPawa''s where it sells the market, else the canonical one.';
comment on column palimpsest.markets.sport is 'Sport.';
comment on column palimpsest.markets.period is 'Part of the match it settles on: ft, 1h, 2h, ...';
comment on column palimpsest.markets.family is 'Kind of bet: result, total, handicap, ...';
comment on column palimpsest.markets.line_kind is 'What the line in its specifiers is: none, total, handicap, ...';
comment on column palimpsest.markets.winners_k is 'Outcomes that win; null when unknown or not always as many: then it has no margin.';
comment on column palimpsest.markets.outcome_keys is 'Its outcomes; empty where they are open, as players are.';
comment on column palimpsest.markets.outcomes is 'Their names for people, in the same order.';
comment on column palimpsest.markets.betpawa_market_id is 'BetPawa''s market type id; null where it does not sell the market.';
comment on column palimpsest.markets.note is 'What to know before its prices are compared, such as rules that differ between platforms; null when nothing.';
