-- Newton's method, as in palimpsest_pipeline/metrics/prices/fair_prices.py. The bounds of the exponent keep exp() from raising an error where a
-- probability is too small for a number.
-- The cost makes Postgres call it once per market, before it joins the outcomes.
create function palimpsest.fair_power(odds double precision[], winners integer default 1) returns double precision[]
language plpgsql immutable strict parallel safe cost 2000
as $$
declare
    logs double precision[] := '{}';
    price double precision;
    log double precision;
    p double precision;
    total double precision := 0;
    slope double precision;
    step double precision;
    n double precision := 1;
    fair double precision[];
begin
    foreach price in array odds loop
        continue when price is null;
        if not (price > 1 and price <= 1e9) then
            return null;
        end if;
        logs := logs || -ln(price);
        total := total + 1 / price;
    end loop;
    if winners < 1 or cardinality(logs) <= winners or not (total / winners - 1 between -0.25 and 1) then
        return null;
    end if;
    for i in 1..50 loop
        total := 0;
        slope := 0;
        foreach log in array logs loop
            p := exp(least(greatest(log * n, -700), 700));
            total := total + p;
            slope := slope + p * log;
        end loop;
        step := total * ln(total / winners) / slope;
        n := n - step;
        exit when abs(step) < 1e-10;
    end loop;
    foreach price in array odds loop
        if price is null then
            fair := fair || null::double precision;
            continue;
        end if;
        p := exp(least(greatest(-ln(price) * n, -700), 700));
        if p >= 1 then
            return null;
        end if;
        fair := fair || p;
    end loop;
    return fair;
end
$$;

comment on function palimpsest.fair_power is 'Fair probabilities of the outcomes of one market by the power method: each is the inverse of its price to one exponent, so that long shots carry more of the margin. odds: decimal odds of a complete set of outcomes, null where an outcome has none; winners: how many of the outcomes win. The result has one probability per element of odds, and adds up to winners. It is null when odds are not above 1, when the margin is below -0.25 or above 1, and when not more outcomes have odds than win.';
