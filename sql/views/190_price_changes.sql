-- A change of a market writes all its outcomes, and a day begins with every market. Rows that repeat the previous row are left out here. The history has no row
-- for a market that existed at the end of a day and is missing when the next day begins: that row is created here, at the first answer without the market.
create view palimpsest.price_changes as
select
    e.platform,
    e.fixture_sr_id as sr_id,
    e.listing_id,
    e.is_primary,
    e.home_team,
    e.away_team,
    f.effective_kickoff as kickoff,
    c.display_name as tournament,
    k.market_key,
    l.specifier,
    case when l.outcome = '' then o.outcome_key else l.outcome end as outcome_key,
    x.observed_at,
    x.state::text as state,
    round(x.odds_milli / 1000.0, 3) as odds,
    x.is_active,
    round(x.previous_odds_milli / 1000.0, 3) as previous_odds
from core.event_listings e
left join core.fixtures f on f.sr_id = e.fixture_sr_id
left join core.tournaments c using (tournament_key)
cross join lateral (
    with days as (
        select date_trunc('day', c.observed_at, 'UTC') as day_at, lead(c.observed_at) over (order by c.observed_at) as next_day_at
        from core.captures c
        where c.listing_id = e.listing_id and c.keyframe
    ),
    written as (
        select
            m.line_id, m.observed_at, m.state, coalesce(m.off_mask, 0) as off_mask, m.odds_milli, d.next_day_at,
            lead(m.observed_at) over (partition by m.line_id order by m.observed_at) as following_at
        from core.market_changes m
        join days d on d.day_at = date_trunc('day', m.observed_at, 'UTC')
        where m.listing_id = e.listing_id
    ),
    told as (
        select line_id, observed_at, state, off_mask, odds_milli from written
        union all
        select line_id, next_day_at, 'withdrawn', 0, array_fill(null::integer, array[cardinality(odds_milli)])
        from written
        where state <> 'withdrawn' and next_day_at is not null and (following_at is null or following_at > next_day_at)
    ),
    outcomes as (
        select
            t.line_id, p.ordinal, t.observed_at, t.state, p.odds_milli,
            p.odds_milli is not null and t.state = 'offered' and (t.off_mask >> (p.ordinal - 1)::integer) & 1 = 0 as is_active
        from told t
        cross join lateral unnest(t.odds_milli) with ordinality as p (odds_milli, ordinal)
    )
    select
        s.*,
        lag(s.odds_milli) over w as previous_odds_milli,
        lag((s.state, s.is_active)) over w is not distinct from (s.state, s.is_active)
            and lag(s.odds_milli) over w is not distinct from s.odds_milli as repeats
    from outcomes s
    window w as (partition by s.line_id, s.ordinal order by s.observed_at)
) x
join ops.market_lines l using (line_id)
join core.markets k using (market_id)
left join core.market_outcomes o on o.market_id = l.market_id and o.ordinal = x.ordinal
where not x.repeats;

comment on view palimpsest.price_changes is 'One row for each change of an outcome''s price or state, on the days that are in Postgres; older days are in the export. Filter by fixture or listing: without a filter the view returns every change. Key: listing_id, market_key, specifier, outcome_key, observed_at.';
comment on column palimpsest.price_changes.sr_id is 'SportRadar id of the fixture; null when unidentified.';
comment on column palimpsest.price_changes.kickoff is 'Effective kickoff; null without a fixture.';
comment on column palimpsest.price_changes.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s; null without a fixture.';
comment on column palimpsest.price_changes.market_key is 'Market of the vocabulary.';
comment on column palimpsest.price_changes.outcome_key is 'Outcome of the vocabulary, or the platform''s own name where a market has open outcomes.';
comment on column palimpsest.price_changes.observed_at is 'Time of the answer that showed the change. The first row of a price has the first answer that shows it on the oldest day in Postgres.';
comment on column palimpsest.price_changes.state is 'State of the market: offered, suspended or no_price; withdrawn: the answer lacks the market.';
comment on column palimpsest.price_changes.odds is 'Decimal odds; null without a price.';
comment on column palimpsest.price_changes.is_active is 'True when the outcome could be backed.';
comment on column palimpsest.price_changes.previous_odds is 'Decimal odds before the change; null without a price before, and on a price''s first row.';
