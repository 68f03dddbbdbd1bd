-- The limits of odds and margins are equal in the three functions of fair probabilities. Those of margins are MIN_MARGIN and MAX_MARGIN of
-- palimpsest_pipeline/metrics/prices/margins.py.
create function palimpsest.fair_multiplicative(odds double precision[], winners integer default 1) returns double precision[]
language sql immutable strict parallel safe
as $$
select case when bool_and(coalesce(p.price > 1 and p.price <= 1e9, true)) and min(p.total) / winners - 1 between -0.25 and 1 and max(p.inverse * winners / p.total) < 1
    then array_agg(p.inverse * winners / p.total order by p.place) end
from (
    select o.price, o.place, 1 / nullif(o.price, 0) as inverse, sum(1 / nullif(o.price, 0)) over () as total
    from unnest(odds) with ordinality o (price, place)
) p
$$;

comment on function palimpsest.fair_multiplicative is 'Fair probabilities of the outcomes of one market by the multiplicative method: every price carries the same share of the margin. odds: decimal odds of a complete set of outcomes, null where an outcome has none; winners: how many of the outcomes win. The result has one probability per element of odds, and adds up to winners. It is null when odds are not above 1, when the margin is below -0.25 or above 1, and when an outcome would be certain.';
