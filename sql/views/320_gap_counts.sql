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
comment on column palimpsest.gap_counts.sr_id is 'SportRadar id.';
comment on column palimpsest.gap_counts.home_team is 'Home side in the chosen claim.';
comment on column palimpsest.gap_counts.away_team is 'Away side in the chosen claim.';
comment on column palimpsest.gap_counts.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.gap_counts.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.gap_counts.country is 'Country; null when no platform gives one.';
comment on column palimpsest.gap_counts.kickoff is 'Effective kickoff; null when no platform lists the fixture any more.';
comment on column palimpsest.gap_counts.kickoff_date is 'UTC date of the effective kickoff.';
comment on column palimpsest.gap_counts.platform is 'Competitor compared with home.';
comment on column palimpsest.gap_counts.hours_before is 'Hours before the effective kickoff: 72, 24, 1 or 0. There is no row for a future instant, or for one at which home or the competitor had not listed the fixture yet.';
comment on column palimpsest.gap_counts.n_both is 'Markets that both offered (each line counts).';
comment on column palimpsest.gap_counts.n_home_missing is 'Markets that the competitor offered and home lacked.';
comment on column palimpsest.gap_counts.n_platform_missing is 'Markets that home offered and the competitor lacked.';
comment on column palimpsest.gap_counts.n_home_suspended is 'Markets that the competitor offered and home listed as suspended or without a price.';
comment on column palimpsest.gap_counts.n_platform_suspended is 'Markets that home offered and the competitor listed as suspended or without a price.';
comment on column palimpsest.gap_counts.n_unknown is 'Markets that one offered while the other was not observed.';
comment on column palimpsest.gap_counts.home_platform is 'Home platform for which it was computed.';
comment on column palimpsest.gap_counts.as_of is 'Time of the latest cycle used. Nothing later was known.';
comment on column palimpsest.gap_counts.mapping_version is 'Version of the market vocabulary.';
