create view palimpsest.player_identities as
with named as (
    select
        e.platform,
        p.external_player_id,
        (array_agg(p.name order by p.name like '%,%', e.last_seen_at desc, p.name))[1] as name,
        array_agg(distinct p.name) as names,
        (array_agg(p.team order by e.last_seen_at desc, p.team) filter (where p.team <> ''))[1] as team,
        min(e.first_seen_at) as first_seen_at,
        max(e.last_seen_at) as last_seen_at
    from core.player_lists p
    join core.event_listings e using (listing_id)
    group by e.platform, p.external_player_id
),
proposed as (
    select
        l.platform,
        l.external_player_id,
        l.sr_player_id,
        count(*)::integer as n_fixtures,
        min(array_position(array['sportradar_id', 'same_name', 'name_contained'], l.evidence::text)) as grade,
        count(*) over (partition by l.platform, l.sr_player_id) as n_takers
    from core.player_links l
    where l.status = 'proposed'
    group by l.platform, l.external_player_id, l.sr_player_id
),
judged as (
    select
        platform,
        external_player_id,
        count(*) > 1 or max(n_takers) > 1 as conflict,
        array_agg(sr_player_id order by sr_player_id) as sr_player_ids,
        sum(n_fixtures)::integer as n_fixtures,
        min(grade) as grade
    from proposed
    group by platform, external_player_id
),
open_ones as (
    select platform, external_player_id, bool_or(status = 'ambiguous') as ambiguous
    from core.player_links
    group by platform, external_player_id
)
select
    n.platform,
    n.external_player_id,
    n.name,
    n.names,
    n.team,
    case when not j.conflict then j.sr_player_ids[1] end as sr_player_id,
    (array['sportradar_id', 'same_name', 'name_contained'])[j.grade] as evidence,
    case when j.conflict then 'conflict' when j.grade is not null then 'proposed' when o.ambiguous then 'ambiguous' else 'none' end as status,
    coalesce(j.n_fixtures, 0) as n_fixtures,
    j.sr_player_ids as proposed_sr_player_ids,
    n.first_seen_at,
    n.last_seen_at
from named n
left join judged j using (platform, external_player_id)
left join open_ones o using (platform, external_player_id);

comment on view palimpsest.player_identities is 'Players of the player markets, one row per platform and player, with their names and the proposed SportRadar player. Join platforms on sr_player_id if its evidence is strong enough for you. Key: platform, external_player_id.';
comment on column palimpsest.player_identities.name is 'One spelling of the player''s name on the platform: the last one seen, preferably with the first name first.';
comment on column palimpsest.player_identities.names is 'All spellings of the player''s name on the platform.';
comment on column palimpsest.player_identities.team is 'Team as the platform last wrote it; null when it gives none.';
comment on column palimpsest.player_identities.sr_player_id is 'SportRadar id of the player; null unless status is proposed.';
comment on column palimpsest.player_identities.evidence is 'Strongest of its proposals: sportradar_id (the platform''s own id is SportRadar''s), same_name (equal except for case, accents, punctuation and the order of surname and first name), name_contained (weaker: all words of one name, two or more, are in the other, and in no other name of the fixture); null without one.';
comment on column palimpsest.player_identities.status is 'proposed; conflict: fixtures propose different players for this one, or the same player for another one of the platform; ambiguous: several players fit in a fixture; none: no player fits.';
comment on column palimpsest.player_identities.n_fixtures is 'Fixtures with a proposal for this player.';
comment on column palimpsest.player_identities.proposed_sr_player_ids is 'All proposed SportRadar ids: more than one is a conflict; null without one.';
comment on column palimpsest.player_identities.first_seen_at is 'When a listing that names the player was first seen.';
comment on column palimpsest.player_identities.last_seen_at is 'When a listing that names the player was last seen.';
