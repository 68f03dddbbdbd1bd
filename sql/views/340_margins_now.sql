-- Home's margin is in the rows of every competitor. In a market with one line per outcome, a platform's margin is in the rows of all its lines.
create view palimpsest.margins_now as
select
    p.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    p.market_key,
    p.market,
    p.specifier,
    p.platform::text as platform,
    p.is_home,
    p.margin,
    1 / (1 + p.margin) as payout,
    p.can_be_backed,
    c.answered_at as last_confirmed_at,
    c.as_of
from (
    -- Home's margins are grouped before the join with the home platform: Postgres then joins fewer rows.
    select
        m.sr_id,
        m.market_key,
        m.market,
        m.specifier,
        h.home_platform as platform,
        true as is_home,
        m.margin,
        m.can_be_backed
    from (
        select
            n.sr_id,
            l.market_key,
            min(l.market) as market,
            l.specifier,
            max(n.home_margin) as margin,
            bool_or(n.home_state = 'offered') as can_be_backed
        from mart.price_comparison n
        join ops.line_names l using (line_id)
        group by n.sr_id, l.market_key, l.specifier
    ) m
    join (select distinct sr_id, home_platform from mart.compared_listing) h using (sr_id)
    union all
    select
        n.sr_id,
        l.market_key,
        min(l.market),
        l.specifier,
        n.platform,
        false,
        max(n.platform_margin),
        bool_or(n.platform_state = 'offered')
    from mart.price_comparison n
    join ops.line_names l using (line_id)
    group by n.sr_id, l.market_key, l.specifier, n.platform
) p
join mart.compared_listing c using (sr_id, platform)
join palimpsest.upcoming_fixtures f using (sr_id);

comment on view palimpsest.margins_now is 'Current margins of every market that home and a competitor list, one row per platform, of fixtures that have not begun. Key: sr_id, market_key, specifier, platform.';
comment on column palimpsest.margins_now.sr_id is 'SportRadar id.';
comment on column palimpsest.margins_now.market_key is 'Market of the vocabulary.';
comment on column palimpsest.margins_now.market is 'Its display name.';
comment on column palimpsest.margins_now.specifier is 'Canonical specifier; '''' when the market has none.';
comment on column palimpsest.margins_now.platform is 'Platform.';
comment on column palimpsest.margins_now.is_home is 'True for the home platform.';
comment on column palimpsest.margins_now.margin is 'Sum of 1 / odds, divided by the number of outcomes that win, less 1; null when it cannot be computed.';
comment on column palimpsest.margins_now.payout is '1 / (1 + margin); null like margin.';
comment on column palimpsest.margins_now.can_be_backed is 'True when at least one outcome of the market is offered there.';
comment on column palimpsest.margins_now.last_confirmed_at is 'Time of the platform''s last answer about the fixture.';
