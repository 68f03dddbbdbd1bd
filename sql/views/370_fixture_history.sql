-- The function reads core, which its callers may not read. So it names every object with its schema, and never executes text from its arguments.
-- market_key is both an argument and a column of the result, so it is one INOUT parameter.
create function palimpsest.fixture_history(
    fixture bigint,
    out observed_at timestamptz,
    out minutes_to_kickoff double precision,
    out platform text,
    inout market_key text default null,
    out market text,
    out specifier text,
    out outcome_key text,
    out outcome text,
    out odds numeric,
    out previous_odds numeric,
    out change_rel double precision,
    out state text,
    out is_active boolean,
    since timestamptz default null
)
returns setof record
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
-- A plan for any fixture would read the whole tables, so each call is planned for its arguments.
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    asked_market constant text := market_key;
    kickoff_at timestamptz;
begin
    select f.effective_kickoff into kickoff_at from core.fixtures f where f.sr_id = fixture;
    if not found then
        raise exception 'no fixture with SportRadar id % is known', fixture
            using errcode = 'no_data_found', hint = 'Look for it by palimpsest.find_events(search => ''...'', include_started => true).';
    end if;
    if asked_market is not null and not exists (select from core.markets k where k.market_key = asked_market) then
        raise exception 'there is no market %', quote_literal(asked_market)
            using errcode = 'invalid_parameter_value', hint = 'They are in palimpsest.markets.';
    end if;
    return query
    select
        p.observed_at,
        extract(epoch from kickoff_at - p.observed_at)::double precision / 60,
        p.platform::text,
        p.market_key,
        k.name,
        p.specifier,
        p.outcome_key,
        coalesce(o.name, n.name, p.outcome_key),
        p.odds,
        p.previous_odds,
        (p.odds / p.previous_odds - 1)::double precision,
        p.state,
        p.is_active
    from palimpsest.price_changes p
    join core.markets k on k.market_key = p.market_key
    left join core.market_outcomes o on o.market_id = k.market_id and o.outcome_key = p.outcome_key
    left join lateral (
        select l.name from core.player_lists l
        where o.name is null and l.listing_id = p.listing_id and l.external_player_id = p.outcome_key
        order by l.name like '%,%', l.name
        limit 1
    ) n on true
    where p.sr_id = fixture
        and p.is_primary
        and p.market_key = coalesce(asked_market, p.market_key)
        and p.observed_at >= coalesce(since, p.observed_at)
    order by p.observed_at, p.platform, p.market_key, p.specifier, o.ordinal, p.outcome_key;
end
$$;

comment on function palimpsest.fixture_history is 'Every change of a price or of its state of a fixture (SportRadar id), on all platforms, in the order of observation, on the days that are in Postgres; older days are in the export (`palimpsest prices`). market_key: only this market; since: only from this instant on. market: display name; outcome: display name, of the player if it is one; odds: decimal, null without a price; change_rel: change of the price, odds / previous_odds - 1; state withdrawn: the answer lacks the market; is_active: true when it could be backed; minutes_to_kickoff: from observed_at to the kickoff, negative after it. Of several listings of a platform only the primary one is used.';
