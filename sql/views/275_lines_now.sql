create function palimpsest.lines_now(asked_market text)
returns table (specifier text, n_compared bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select l.specifier, count(*)
    from core.markets k
    join ops.market_lines l using (market_id)
    join mart.price_comparison p using (line_id)
    where k.market_key = asked_market
    group by l.specifier
$$;

comment on function palimpsest.lines_now is 'The lines of a market that home and a competitor list now. specifier: the line, '''' when the market has none; n_compared: rows of mart.price_comparison.';
