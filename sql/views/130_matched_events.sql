create view palimpsest.matched_events as
select
    f.sr_id,
    f.kickoff,
    f.sport,
    f.country,
    f.tournament,
    f.home_team,
    f.away_team,
    l.platforms,
    l.n_platforms,
    l.external_ids,
    f.suspect_code
from palimpsest.fixtures f
cross join lateral (
    select
        array_agg(p.platform order by p.platform <> (select palimpsest.home_platform()), k.trust_rank nulls last, p.platform) as platforms,
        count(*)::integer as n_platforms,
        jsonb_object_agg(p.platform, p.external_id) as external_ids,
        bool_or(p.platform = (select palimpsest.home_platform())) as at_home
    from (
        select e.platform, e.external_id from core.event_listings e where e.fixture_sr_id = f.sr_id and e.is_primary and e.deleted_at is null
    ) p
    left join ops.platforms k using (platform)
) l
where l.at_home and l.n_platforms > 1;

comment on view palimpsest.matched_events is 'One row per fixture that the home platform and at least one competitor list. Key: sr_id.';
comment on column palimpsest.matched_events.platforms is 'Platforms that list it, home first.';
comment on column palimpsest.matched_events.n_platforms is 'Number of platforms that list it.';
comment on column palimpsest.matched_events.external_ids is 'Each platform''s own event id (of its primary listing).';
