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

comment on view palimpsest.markets is 'The market vocabulary: the meaning of market_key and outcome_key in all other views. Key: market_key.';
comment on column palimpsest.markets.market_key is 'Market, as in all other views.';
comment on column palimpsest.markets.winners_k is 'Outcomes that win; null when unknown or not constant, and then the market has no margin.';
comment on column palimpsest.markets.outcome_keys is 'Its outcomes; empty when they are open, such as players.';
comment on column palimpsest.markets.outcomes is 'Display names of the outcomes, in the same order.';
