-- Newton's method, as in palimpsest_pipeline/metrics/prices/fair_prices.py.
-- The cost makes Postgres call it once per market, before it joins the outcomes.
create function palimpsest.fair_shin(odds double precision[], winners integer default 1) returns double precision[]
language plpgsql immutable strict parallel safe cost 2000
as $$
declare
    squares double precision[] := '{}';
    price double precision;
    square double precision;
    root double precision;
    total double precision := 0;
    roots double precision;
    slope double precision;
    step double precision;
    z double precision := 0;
    n_above_two integer;
    p double precision;
    fair double precision[];
begin
    foreach price in array odds loop
        continue when price is null;
        if not (price > 1 and price <= 1e9) then
            return null;
        end if;
        total := total + 1 / price;
    end loop;
    if winners <> 1 or not (total - 1 between -0.25 and 1) then
        return null;
    end if;
    foreach price in array odds loop
        if price is not null then
            squares := squares || 1 / (price * price * total);
        end if;
    end loop;
    n_above_two := cardinality(squares) - 2;
    if n_above_two < 0 then
        return null;
    end if;
    for i in 1..50 loop
        roots := 0;
        slope := 0;
        foreach square in array squares loop
            root := sqrt(z * z + 4 * (1 - z) * square);
            roots := roots + root;
            slope := slope + (z - 2 * square) / root;
        end loop;
        step := (roots - 2 - n_above_two * z) / nullif(slope - n_above_two, 0);
        z := z - step;
        exit when abs(step) < 1e-10;
    end loop;
    foreach price in array odds loop
        square := 1 / (price * price * total);
        root := sqrt(z * z + 4 * (1 - z) * square);
        -- Both forms are equal. Neither subtracts two numbers that are nearly equal.
        p := case when z < 0 then (root - z) / (2 * (1 - z)) else 2 * square / (root + z) end;
        if p >= 1 then
            return null;
        end if;
        fair := fair || p;
    end loop;
    return fair;
end
$$;

comment on function palimpsest.fair_shin is 'Fair probabilities of the outcomes of one market by Shin''s method: prices guard the platform against a share of bettors who know the winner, so that long shots carry more of the margin. odds: decimal odds of a complete set of outcomes, null where an outcome has none; winners: how many of the outcomes win. The method needs exactly one winner; for another number the result is null. Otherwise it has one probability per element of odds, and adds up to 1. It is null when odds are not above 1, and when the margin is below -0.25 or above 1.';
