create function palimpsest.prices_now(
    market_key text default null,
    specifier text default null,
    fixtures bigint[] default null
)
returns table (
    sr_id bigint,
    platform text,
    market text,
    line text,
    outcome_key text,
    outcome text,
    outcome_order smallint,
    odds numeric,
    state text,
    is_active boolean,
    margin double precision,
    changed_at timestamptz,
    state_since timestamptz,
    last_confirmed_at timestamptz
)
language sql stable security definer
set search_path = pg_catalog, pg_temp
as $$
    select
        n.sr_id,
        n.platform,
        n.market_key,
        n.specifier,
        coalesce(n.outcome_key, o.outcome_key),
        coalesce(o.name, n.outcome_key),
        o.ordinal,
        round(p.odds_milli / 1000.0, 3),
        case when n.state = 'offered' and p.odds_milli is null then 'no_price' when n.state = 'offered' and r.is_off then 'suspended' else n.state end,
        n.state = 'offered' and p.odds_milli is not null and not r.is_off,
        n.margin,
        n.changed_at,
        n.state_since,
        n.last_confirmed_at
    from palimpsest.offers_now(market_key, specifier, fixtures) n
    join core.markets k on k.market_key = n.market_key
    cross join lateral unnest(n.odds_milli) with ordinality as p (odds_milli, ordinal)
    cross join lateral (select (n.off_mask >> (p.ordinal - 1)::integer) & 1 = 1 as is_off) r
    left join core.market_outcomes o on o.market_id = k.market_id
        and case when n.outcome_key is null then o.ordinal = p.ordinal else o.outcome_key = n.outcome_key end
$$;

comment on function palimpsest.prices_now is 'The rows of offers_now, one per outcome. sr_id: SportRadar id; platform: home or a competitor that lists the fixture; outcome: display name; market: market of the vocabulary; line: its specifier; odds: decimal, null without a price; state of the outcome: offered, suspended, no_price or withdrawn; is_active: true when it can be backed; margin: of the market; outcome_order: position in the vocabulary, null for an open outcome.';
