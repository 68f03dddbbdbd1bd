-- Home's margin stands on the rows of every competitor; of a market with a line an outcome, on those of all its lines.
create view palimpsest.margins_now as
select
    m.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    k.market_key,
    k.name as market,
    m.specifier,
    m.platform::text as platform,
    m.is_home,
    m.margin,
    1 / (1 + m.margin) as payout,
    m.can_be_backed,
    a.answered_at as last_confirmed_at,
    a.as_of
from (
    select
        p.sr_id,
        p.market_id,
        p.specifier,
        s.platform,
        s.is_home,
        max(s.margin) as margin,
        bool_or(s.can_be_backed) as can_be_backed
    from (
        select
            c.sr_id,
            l.market_id,
            l.specifier,
            c.platform,
            max(c.platform_margin) as platform_margin,
            bool_or(c.platform_state = 'offered') as platform_can_be_backed,
            max(c.home_margin) as home_margin,
            bool_or(c.home_state = 'offered') as home_can_be_backed
        from mart.price_comparison c
        join ops.market_lines l using (line_id)
        group by c.sr_id, l.market_id, l.specifier, c.platform
    ) p
    join mart.compared_listing b using (sr_id, platform)
    cross join lateral (
        values
            (b.home_platform, true, p.home_margin, p.home_can_be_backed),
            (p.platform, false, p.platform_margin, p.platform_can_be_backed)
    ) s (platform, is_home, margin, can_be_backed)
    group by p.sr_id, p.market_id, p.specifier, s.platform, s.is_home
) m
join palimpsest.upcoming_fixtures f using (sr_id)
join mart.compared_listing a on a.sr_id = m.sr_id and a.platform = m.platform
join core.markets k using (market_id);

comment on view palimpsest.margins_now is 'Margins as they stand, of every market that home and a competitor list, a row for each platform, of fixtures that have not begun. Key: sr_id, market_key, specifier, platform.';
comment on column palimpsest.margins_now.sr_id is 'SportRadar id.';
comment on column palimpsest.margins_now.home_team is 'Home side of the chosen claim.';
comment on column palimpsest.margins_now.away_team is 'Away side of the chosen claim.';
comment on column palimpsest.margins_now.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.margins_now.tournament is 'Tournament name: home''s, else by trust.';
comment on column palimpsest.margins_now.country is 'Country; null when nobody gives one.';
comment on column palimpsest.margins_now.kickoff is 'Effective kickoff.';
comment on column palimpsest.margins_now.market_key is 'Market of the vocabulary.';
comment on column palimpsest.margins_now.market is 'Its name for people.';
comment on column palimpsest.margins_now.specifier is 'Canonical specifier; '''' when the market has none.';
comment on column palimpsest.margins_now.platform is 'Platform.';
comment on column palimpsest.margins_now.is_home is 'It is the home platform.';
comment on column palimpsest.margins_now.margin is 'Sum of the inverse odds / outcomes that win - 1; null when it cannot be computed.';
comment on column palimpsest.margins_now.payout is '1 / (1 + margin); null like margin.';
comment on column palimpsest.margins_now.can_be_backed is 'An outcome of the market at least is offered there.';
comment on column palimpsest.margins_now.last_confirmed_at is 'The platform''s last answer on the fixture.';
comment on column palimpsest.margins_now.as_of is 'Latest answer of any platform on the fixture: nothing later was known.';
