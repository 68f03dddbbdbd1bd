create view palimpsest.gap_counts as
select
    g.sr_id,
    f.home_team,
    f.away_team,
    g.tournament_key,
    t.display_name as tournament,
    t.country,
    f.effective_kickoff as kickoff,
    g.kickoff_date,
    g.platform,
    g.hours_before,
    g.n_both,
    g.n_home_missing,
    g.n_platform_missing,
    g.n_home_suspended,
    g.n_platform_suspended,
    g.n_unknown,
    g.home_platform,
    g.as_of,
    g.mapping_version
from mart.gap_count g
left join core.fixtures f using (sr_id)
left join core.tournaments t on t.tournament_key = g.tournament_key;

comment on view palimpsest.gap_counts is 'Number of markets that home and a competitor both offered, or only one of them, at fixed hours before kickoff: gaps over time. Key: sr_id, platform, hours_before.';
comment on column palimpsest.gap_counts.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.gap_counts.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.gap_counts.country is 'Country; null when no platform gives one.';
comment on column palimpsest.gap_counts.kickoff is 'Effective kickoff; null when no platform lists the fixture any more.';
