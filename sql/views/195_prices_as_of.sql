-- The function reads core, which its callers may not read. So it names every object with its schema, and never executes text from its arguments.
create function palimpsest.prices_as_of(at timestamptz, fixture bigint default null, tournament text default null)
returns table (
    platform text,
    sr_id bigint,
    home_team text,
    away_team text,
    market_key text,
    specifier text,
    outcome_key text,
    odds numeric,
    state text,
    is_active boolean,
    observed_at timestamptz,
    last_confirmed_at timestamptz
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
-- A plan for any fixture would read the whole tables, so each call is planned for its arguments.
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    day_at constant timestamptz := date_trunc('day', at, 'UTC');
    day_name constant text := to_char(at at time zone 'UTC', 'YYYYMMDD');
    oldest text;
begin
    return query
    with stands as materialized (
        select e.platform, f.sr_id, f.home_team, f.away_team, c.observed_at as confirmed_at, m.*, l.*
        from core.event_listings e
        join core.fixtures f on f.sr_id = e.fixture_sr_id
        cross join lateral (
            select a.observed_at from core.captures a
            where a.listing_id = e.listing_id and a.observed_at >= day_at and a.observed_at <= at
            order by a.observed_at desc
            limit 1
        ) c
        cross join lateral (
            select distinct on (h.line_id) h.line_id, h.observed_at, h.state, h.off_mask, h.odds_milli
            from core.market_changes h
            where h.listing_id = e.listing_id and h.observed_at >= day_at and h.observed_at <= at
            order by h.line_id, h.observed_at desc
        ) m
        -- The offset makes Postgres look up each line by its number. Otherwise it might read all lines, and there are very many.
        cross join lateral (select n.market_id, n.specifier, n.outcome from ops.market_lines n where n.line_id = m.line_id offset 0) l
        where e.is_primary
            and (fixture is null or e.fixture_sr_id = fixture)
            and (tournament is null or f.tournament_key = tournament)
    )
    select
        s.platform::text, s.sr_id, s.home_team, s.away_team, k.market_key, s.specifier,
        case when s.outcome = '' then o.outcome_key else s.outcome end,
        round(p.odds_milli / 1000.0, 3),
        s.state::text,
        p.odds_milli is not null and s.state = 'offered' and (coalesce(s.off_mask, 0) >> (p.ordinal - 1)::integer) & 1 = 0,
        s.observed_at,
        s.confirmed_at
    from stands s
    join core.markets k using (market_id)
    cross join lateral unnest(s.odds_milli) with ordinality as p (odds_milli, ordinal)
    left join core.market_outcomes o on o.market_id = s.market_id and o.ordinal = p.ordinal;
    -- Rows prove that the day was in Postgres during the read. Without rows the day may have been dropped meanwhile.
    if not found and to_regclass('core.captures_' || day_name) is null then
        select min(right(c.relname, 8)) into oldest
        from pg_inherits i join pg_class c on c.oid = i.inhrelid
        where i.inhparent = to_regclass('core.captures') and c.relname ~ '_\d{8}$';
        if day_name < oldest or exists (
            select from core.cycles y
            where y.partition_hour >= day_at - interval '1 hour' and y.partition_hour < day_at + interval '24 hours'
        ) then
            raise exception 'prices of % are no longer in Postgres', to_char(at at time zone 'UTC', 'YYYY-MM-DD')
                using errcode = 'undefined_table',
                    detail = 'The oldest day here is ' || to_char(to_date(oldest, 'YYYYMMDD'), 'YYYY-MM-DD') || '.',
                    hint = 'Older days are in the export (setting export_url): `palimpsest prices` and Layers read both, DuckDB and Polars read the Parquet.';
        end if;
    end if;
end
$$;

comment on function palimpsest.prices_as_of is 'Prices at an instant, from the answers of its UTC day up to then. One row per outcome of each platform''s primary listing of a fixture (SportRadar id), of a tournament (tournament_key), or of everything. odds: decimal, null without a price; is_active: true when it could be backed; state withdrawn: the market disappeared during the day; observed_at: time of the answer of the day that began this state and price; last_confirmed_at: the listing''s last answer up to the instant. A fixture without an answer on that day has no rows. Raises an error for a day that is no longer in Postgres.';
