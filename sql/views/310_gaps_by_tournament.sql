create view palimpsest.gaps_by_tournament as
select
    g.platform::text as platform,
    f.tournament_key,
    min(f.tournament) as tournament,
    min(f.country) as country,
    count(distinct g.sr_id)::integer as n_fixtures,
    count(*) filter (where g.gap_type = 'home_missing')::integer as n_home_missing,
    count(*) filter (where g.gap_type = 'home_missing' and g.market_priority is not null)::integer as n_home_missing_main,
    count(*) filter (where g.gap_type = 'home_suspended_only')::integer as n_home_suspended_only,
    count(*) filter (where g.gap_type = 'platform_missing')::integer as n_platform_missing,
    count(*) filter (where g.gap_type = 'platform_missing' and g.market_priority is not null)::integer as n_platform_missing_main,
    count(*) filter (where g.gap_type = 'platform_suspended_only')::integer as n_platform_suspended_only,
    count(*) filter (where g.gap_type = 'both')::integer as n_both,
    count(*) filter (where g.gap_type = 'unknown')::integer as n_unknown,
    min(f.kickoff) as next_kickoff,
    max(c.as_of) as as_of
from mart.availability_gap g
join mart.compared_listing c using (sr_id, platform)
join palimpsest.upcoming_fixtures f using (sr_id)
group by g.platform, f.tournament_key;

comment on view palimpsest.gaps_by_tournament is 'Number of current markets that home and a competitor do not both offer, by competitor and tournament, of fixtures that have not begun. Each line of a market and each fixture counts. Key: platform, tournament_key.';
comment on column palimpsest.gaps_by_tournament.platform is 'Competitor compared with home.';
comment on column palimpsest.gaps_by_tournament.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.gaps_by_tournament.country is 'Country; null when no platform gives one.';
comment on column palimpsest.gaps_by_tournament.n_fixtures is 'Fixtures with a gap.';
comment on column palimpsest.gaps_by_tournament.n_home_missing is 'Markets that the competitor offers and home lacks.';
comment on column palimpsest.gaps_by_tournament.n_home_missing_main is 'Markets in PALIMPSEST_MAIN_MARKETS that the competitor offers and home lacks.';
comment on column palimpsest.gaps_by_tournament.n_home_suspended_only is 'Markets that the competitor offers and home lists as suspended or without a price.';
comment on column palimpsest.gaps_by_tournament.n_platform_missing is 'Markets that home offers and the competitor lacks.';
comment on column palimpsest.gaps_by_tournament.n_platform_missing_main is 'Markets in PALIMPSEST_MAIN_MARKETS that home offers and the competitor lacks.';
comment on column palimpsest.gaps_by_tournament.n_platform_suspended_only is 'Markets that home offers and the competitor lists as suspended or without a price.';
comment on column palimpsest.gaps_by_tournament.n_both is 'Markets that one of the two lists and neither offers.';
comment on column palimpsest.gaps_by_tournament.n_unknown is 'Markets for which one of the two was not observed when the other was.';
comment on column palimpsest.gaps_by_tournament.next_kickoff is 'Next kickoff among these fixtures.';
comment on column palimpsest.gaps_by_tournament.as_of is 'Time of the latest answer of any platform about any of these fixtures.';
