-- A market's margin stands on the rows of all its outcomes, and home's on those of every competitor.
create view palimpsest.margins_now as
select
    m.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    m.market_key,
    k.name as market,
    m.specifier,
    m.platform,
    m.is_home,
    m.margin,
    1 / (1 + m.margin) as payout,
    m.can_be_backed,
    m.last_confirmed_at,
    m.as_of
from (
    select
        p.sr_id,
        p.market_key,
        p.specifier,
        s.platform,
        s.is_home,
        max(s.margin) as margin,
        bool_or(s.can_be_backed) as can_be_backed,
        max(s.last_confirmed_at) as last_confirmed_at,
        max(p.as_of) as as_of
    from (
        select
            c.sr_id,
            c.market_key,
            c.specifier,
            c.platform,
            c.home_platform,
            max(c.platform_margin) as platform_margin,
            bool_or(c.platform_state = 'offered') as platform_can_be_backed,
            max(c.platform_last_confirmed_at) as platform_last_confirmed_at,
            max(c.home_margin) as home_margin,
            bool_or(c.home_state = 'offered') as home_can_be_backed,
            max(c.home_last_confirmed_at) as home_last_confirmed_at,
            max(c.as_of) as as_of
        from mart.price_comparison c
        group by c.sr_id, c.market_key, c.specifier, c.platform, c.home_platform
    ) p
    cross join lateral (
        values
            (p.home_platform, true, p.home_margin, p.home_can_be_backed, p.home_last_confirmed_at),
            (p.platform, false, p.platform_margin, p.platform_can_be_backed, p.platform_last_confirmed_at)
    ) s (platform, is_home, margin, can_be_backed, last_confirmed_at)
    group by p.sr_id, p.market_key, p.specifier, s.platform, s.is_home
) m
join palimpsest.upcoming_fixtures f using (sr_id)
left join core.markets k using (market_key);

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
