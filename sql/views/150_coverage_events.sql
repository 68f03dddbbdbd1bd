create view palimpsest.coverage_events as
select
    case when f.home_platform = any(f.platforms) then f.sr_id else -f.sr_id end as id,
    f.sr_id as sportradar_id,
    f.sr_id,
    f.fixture_class as availability,
    f.platforms,
    cardinality(f.platforms) as n_platforms,
    f.sport,
    t.country,
    f.tournament_key,
    t.display_name as tournament,
    f.home_team,
    f.away_team,
    f.effective_kickoff as kickoff,
    f.kickoff_source as metadata_source,
    f.started,
    f.suspect_code,
    f.evidence,
    f.stale_since,
    f.cycle_id,
    f.as_of,
    f.country as claimed_country,
    f.tournament_name as claimed_tournament
from mart.coverage_fixture f
left join mart.coverage_tournament t
    on t.cycle_id = f.cycle_id and t.tournament_key = f.tournament_key and t.platform = 'any' and t.include_started
where f.cycle_id = (select c.cycle_id from palimpsest.coverage_cycles c where c.is_latest);

comment on view palimpsest.coverage_events is 'Fixtures and the platforms that list them, as of the latest cycle in coverage_cycles. Key: id.';
comment on column palimpsest.coverage_events.id is 'SportRadar id; negative when the home platform does not list the fixture.';
comment on column palimpsest.coverage_events.sr_id is 'The same as sportradar_id.';
comment on column palimpsest.coverage_events.n_platforms is 'Number of platforms that list it.';
comment on column palimpsest.coverage_events.country is 'Country; null when no platform gives one.';
comment on column palimpsest.coverage_events.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.coverage_events.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.coverage_events.metadata_source is 'Platform whose claim was chosen.';
comment on column palimpsest.coverage_events.started is 'True when the kickoff is not after as_of.';
comment on column palimpsest.coverage_events.suspect_code is 'kickoff_mismatch: the listings'' kickoffs are far apart; home_away_swapped: a platform has the sides the other way round; duplicate_sr_id: another fixture looks like the same match; null without a suspicion.';
comment on column palimpsest.coverage_events.claimed_country is 'Country as written in the chosen claim.';
comment on column palimpsest.coverage_events.claimed_tournament is 'Tournament name as written in the chosen claim: home''s, otherwise the most trusted platform''s.';
