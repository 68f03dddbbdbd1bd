-- The function reads core, which its callers may not read. So it names every object with its schema, and never executes text from its arguments.
-- market_key and specifier are both arguments and columns of the result, so they are INOUT parameters.
create function palimpsest.offers_now(
    inout market_key text default null,
    inout specifier text default null,
    fixtures bigint[] default null,
    out sr_id bigint,
    out platform text,
    out outcome_key text,
    out state text,
    out odds_milli integer[],
    out off_mask bigint,
    out margin double precision,
    out changed_at timestamptz,
    out state_since timestamptz,
    out last_confirmed_at timestamptz
)
returns setof record
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
-- A plan for any market would read the whole tables, so each call is planned for its arguments.
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    asked_market constant text := market_key;
    asked_specifier constant text := specifier;
begin
    if asked_market is null and fixtures is null then
        raise exception 'offers_now needs a market or fixtures'
            using errcode = 'invalid_parameter_value', hint = 'For example: offers_now(''match_result'').';
    end if;
    if asked_market is not null and not exists (select from core.markets k where k.market_key = asked_market) then
        raise exception 'there is no market %', quote_literal(asked_market)
            using errcode = 'invalid_parameter_value', hint = 'They are in palimpsest.markets.';
    end if;
    if asked_market is null then
        return query
        select
            k.market_key, l.specifier, q.sr_id, q.platform, nullif(l.outcome, ''), c.state::text, c.odds_milli, coalesce(c.off_mask, 0),
            p.margin, c.changed_at, c.state_since, q.answered_at
        from (
            select q.sr_id, q.platform::text as platform, q.answered_at, e.listing_id
            from mart.compared_listing q
            join core.event_listings e on e.fixture_sr_id = q.sr_id and e.platform = q.platform::text and e.is_primary
            where q.sr_id = any(fixtures) and q.kickoff_at > now() and q.dropped_at is null
        ) q
        cross join lateral (select * from core.current_markets m where m.listing_id = q.listing_id offset 0) c
        cross join lateral (select n.market_id, n.specifier, n.outcome from ops.market_lines n where n.line_id = c.line_id offset 0) l
        join core.markets k on k.market_id = l.market_id
        cross join lateral (select count(*)::integer from core.market_outcomes o where o.market_id = l.market_id offset 0) s (n_outcomes)
        cross join lateral (
            select case when k.fair_sum ~ '^[1-9]$' and l.outcome = '' and c.state = 'offered' and coalesce(c.off_mask, 0) = 0
                    and cardinality(array_remove(c.odds_milli, null)) = s.n_outcomes and 1000 < all(c.odds_milli)
                then (select sum(1000.0::double precision / u.odds) from unnest(c.odds_milli) u (odds)) / k.fair_sum::integer - 1
            end
        ) p (margin);
    else
        return query
        select
            asked_market, l.specifier, q.sr_id, q.platform, nullif(l.outcome, ''), c.state::text, c.odds_milli, coalesce(c.off_mask, 0),
            p.margin, c.changed_at, c.state_since, q.answered_at
        from (
            select q.sr_id, q.platform::text as platform, q.answered_at, e.listing_id
            from mart.compared_listing q
            join core.event_listings e on e.fixture_sr_id = q.sr_id and e.platform = q.platform::text and e.is_primary
            where q.kickoff_at > now() and q.dropped_at is null and (fixtures is null or q.sr_id = any(fixtures))
        ) q
        cross join (
            select
                n.line_id, n.specifier, n.outcome,
                case when k.fair_sum ~ '^[1-9]$' and n.outcome = '' then k.fair_sum::integer end as n_winners,
                (select count(*)::integer from core.market_outcomes o where o.market_id = n.market_id) as n_outcomes
            from ops.market_lines n
            join core.markets k using (market_id)
            where k.market_key = asked_market and (asked_specifier is null or n.specifier = asked_specifier)
        ) l
        -- The offset makes Postgres look up each market of a listing by the primary key. Otherwise it might read all of them.
        cross join lateral (select * from core.current_markets m where m.listing_id = q.listing_id and m.line_id = l.line_id offset 0) c
        cross join lateral (
            select case when c.state = 'offered' and coalesce(c.off_mask, 0) = 0 and cardinality(array_remove(c.odds_milli, null)) = l.n_outcomes and 1000 < all(c.odds_milli)
                then (select sum(1000.0::double precision / u.odds) from unnest(c.odds_milli) u (odds)) / l.n_winners - 1
            end
        ) p (margin);
    end if;
end
$$;

comment on function palimpsest.offers_now is 'Current state and prices of a market on every platform that lists the fixture, whether home lists it or not. market_key: the market, null for all markets of the given fixtures; specifier: one line, null for all; fixtures: SportRadar ids, null for all fixtures. Only fixtures that have not begun, and only listings that complete discoveries do not lack. One row per fixture, platform and line. odds_milli: decimal odds x 1000 by the outcome''s position in the vocabulary, null without a price; outcome_key: the outcome of a line with a single one, otherwise null; off_mask: bit i-1 is set when outcome i cannot be backed; state: offered, suspended, no_price, or withdrawn: the last answer lacks the market; margin: null unless all outcomes of the market can be backed; changed_at: time of the answer that last changed state or prices; state_since: time of the answer that began the state; last_confirmed_at: the platform''s last answer about the fixture.';
