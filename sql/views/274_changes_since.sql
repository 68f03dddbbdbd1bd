-- The function reads core, which its callers may not read. So it names every object with its schema, and never executes text from its arguments.
create function palimpsest.changes_since(
    since timestamptz,
    asked_market text,
    asked_specifier text default null,
    fixtures bigint[] default null
)
returns table (
    sr_id bigint,
    platform text,
    specifier text,
    outcome_key text,
    observed_at timestamptz,
    state text,
    odds_milli integer[],
    off_mask bigint
)
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
-- A plan for any instant would read every day of the history, so each call is planned for its arguments.
set plan_cache_mode = force_custom_plan
as $$
#variable_conflict use_column
declare
    -- The first answer of a UTC day writes every market, so the row in force at `since` is on its day or the day before.
    oldest constant timestamptz := date_trunc('day', since, 'UTC') - interval '1 day';
begin
    return query
    select q.sr_id, q.platform, l.specifier, nullif(l.outcome, ''), h.observed_at, h.state::text, h.odds_milli, coalesce(h.off_mask, 0)
    from (
        select q.sr_id, q.platform::text as platform, e.listing_id
        from mart.compared_listing q
        join core.event_listings e on e.fixture_sr_id = q.sr_id and e.platform = q.platform::text and e.is_primary
        where q.kickoff_at > now() and q.answered_at > since and (fixtures is null or q.sr_id = any(fixtures))
    ) q
    cross join (
        select n.line_id, n.specifier, n.outcome
        from ops.market_lines n
        join core.markets k using (market_id)
        where k.market_key = asked_market and (asked_specifier is null or n.specifier = asked_specifier)
    ) l
    cross join lateral (
        select m.changed_at from core.current_markets m where m.listing_id = q.listing_id and m.line_id = l.line_id offset 0
    ) c
    cross join lateral (
        select r.observed_at, r.state, r.odds_milli, r.off_mask from core.market_changes r
        where r.listing_id = q.listing_id and r.line_id = l.line_id and r.observed_at > since
        union all
        (
            select r.observed_at, r.state, r.odds_milli, r.off_mask from core.market_changes r
            where r.listing_id = q.listing_id and r.line_id = l.line_id and r.observed_at <= since and r.observed_at >= oldest
            order by r.observed_at desc
            limit 1
        )
    ) h
    where c.changed_at > since;
end
$$;

comment on function palimpsest.changes_since is 'Changes of the offers of a market after an instant, of fixtures that have not begun. Each offer that changed has its rows of the history after the instant, and the row that was in force at the instant. since: the instant; asked_market: the market; asked_specifier: one line, null for all; fixtures: SportRadar ids, null for all. odds_milli: decimal odds x 1000 by the outcome''s position in the vocabulary, null without a price; outcome_key: the outcome of a line with a single one, otherwise null; off_mask: bit i-1 is set when outcome i cannot be backed.';
