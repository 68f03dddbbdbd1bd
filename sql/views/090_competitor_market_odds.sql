-- A day starts with every market of the listing. So the state at an answer is the last row of each market on that day, up to the answer.
create view palimpsest.competitor_market_odds as
select
    core.natural_id(core.snapshot_id(c.listing_id, c.observed_at)::text, m.market_id || '|' || m.specifier) as id,
    core.snapshot_id(c.listing_id, c.observed_at) as snapshot_id,
    k.betpawa_market_id,
    k.name as betpawa_market_name,
    core.specifier_line(m.specifier) as line,
    case when k.line_kind <> 'none' then k.line_kind end as handicap_type,
    case when k.line_kind like '%handicap%' then core.specifier_line(m.specifier) end as handicap_home,
    case when k.line_kind like '%handicap%' then -core.specifier_line(m.specifier) end as handicap_away,
    m.outcomes
from core.captures c
join core.event_listings e using (listing_id)
cross join lateral (
    select
        s.market_id,
        s.specifier,
        jsonb_agg(
            jsonb_build_object(
                'name', coalesce(o.name, n.name, nullif(s.outcome, ''), p.ordinal::text),
                'odds', round(p.odds_milli / 1000.0, 3),
                'is_active', p.odds_milli is not null and s.state = 'offered' and (coalesce(s.off_mask, 0) >> (p.ordinal - 1)::integer) & 1 = 0
            )
            order by s.outcome, p.ordinal
        ) as outcomes
    from (
        select l.market_id, l.specifier, l.outcome, h.state, h.off_mask, h.odds_milli
        from (
            select distinct on (m.line_id) m.line_id, m.state, m.off_mask, m.odds_milli
            from core.market_changes m
            where m.listing_id = c.listing_id
                and m.observed_at <= c.observed_at
                and m.observed_at >= date_trunc('day', c.observed_at, 'UTC')
            order by m.line_id, m.observed_at desc
        ) h
        join ops.market_lines l using (line_id)
    ) s
    cross join lateral unnest(s.odds_milli) with ordinality as p (odds_milli, ordinal)
    left join core.market_outcomes o
        on o.market_id = s.market_id and case when s.outcome = '' then o.ordinal = p.ordinal else o.outcome_key = s.outcome end
    left join lateral (
        select l.name from core.player_lists l
        where l.listing_id = c.listing_id and l.external_player_id = s.outcome
        order by l.name like '%,%', l.name
        limit 1
    ) n on s.outcome <> ''
    where s.state <> 'withdrawn'
    group by s.market_id, s.specifier
) m
left join core.markets k using (market_id)
where e.platform <> (select palimpsest.home_platform());

comment on view palimpsest.competitor_market_odds is 'All markets of the competitors that are valid at each snapshot. Filter by snapshot: without a filter the view returns every price ever seen. Key: id.';
comment on column palimpsest.competitor_market_odds.id is 'Id of the market in the snapshot: an integer made from snapshot, market and line.';
comment on column palimpsest.competitor_market_odds.snapshot_id is 'Snapshot: competitor_odds_snapshots.id.';
comment on column palimpsest.competitor_market_odds.line is 'Line: total, handicap on the home side, or number (of the goal, corner, set, ...); null without a line.';
comment on column palimpsest.competitor_market_odds.handicap_type is 'Kind of line: total, handicap, ...; null without a line.';
comment on column palimpsest.competitor_market_odds.handicap_home is 'Handicap given to the home side; null when the line is not a handicap.';
comment on column palimpsest.competitor_market_odds.handicap_away is 'Handicap given to the away side; null when the line is not a handicap.';
comment on column palimpsest.competitor_market_odds.outcomes is '[{name, odds, is_active}]: name is a player''s name where the outcome is a player; odds are decimal, null without a price; is_active is false when the outcome cannot be backed.';
