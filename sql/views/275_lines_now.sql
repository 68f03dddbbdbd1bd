-- The function reads core, which its callers may not read. So it names every object with its schema, and never executes text from its arguments.
create function palimpsest.lines_now(asked_market text)
returns table (specifier text, n_compared bigint, n_offers bigint)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    with lines as materialized (
        select l.line_id, l.specifier
        from core.markets k
        join ops.market_lines l using (market_id)
        where k.market_key = asked_market
    ),
    offers as (
        select c.line_id, count(*) as n
        from mart.compared_listing q
        join core.event_listings e on e.fixture_sr_id = q.sr_id and e.platform = q.platform::text and e.is_primary
        -- One look-up per listing finds all lines of the array. One look-up per listing and line takes ten times as long for a market with 60 lines.
        cross join lateral (
            select m.line_id from core.current_markets m
            where m.listing_id = e.listing_id
                and m.line_id = any((select array_agg(n.line_id order by n.line_id) from lines n)::integer[])
                and m.state <> 'withdrawn'
            offset 0
        ) c
        where q.kickoff_at > now() and q.dropped_at is null
        group by c.line_id
    ),
    compared as (
        select p.line_id, count(*) as n
        from mart.price_comparison p
        where p.line_id in (select n.line_id from lines n)
        group by p.line_id
    )
    select l.specifier, coalesce(sum(p.n), 0)::bigint, sum(o.n)::bigint
    from lines l
    join offers o using (line_id)
    left join compared p using (line_id)
    group by l.specifier
$$;

comment on function palimpsest.lines_now is 'The lines of a market that any platform has now, whether home has them or not, for fixtures that have not begun. specifier: the line, '''' when the market has none; n_compared: rows of mart.price_comparison, 0 when home or all competitors lack the line; n_offers: rows of offers_now that are not withdrawn.';
