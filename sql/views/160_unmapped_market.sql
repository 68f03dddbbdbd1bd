create view palimpsest.unmapped_market as
select
    rank() over (order by u.n_listings desc, u.occurrences desc, u.platform, u.sport, u.external_market_id, u.error_class) as impact_rank,
    u.*
from (
    select
        m.platform,
        m.sport,
        m.external_market_id,
        m.error_class,
        (array_agg(m.name order by m.cycle_id desc))[1] as name,
        (array_agg(m.sample_specifier order by m.cycle_id desc))[1] as sample_specifier,
        (array_agg(to_jsonb(m.sample_outcomes) order by m.cycle_id desc))[1] as sample_outcomes,
        sum(m.occurrences)::bigint as occurrences,
        sum(m.n_listings)::bigint as n_listings,
        count(*)::integer as n_cycles,
        min(m.cycle_id) as first_cycle_id,
        max(m.cycle_id) as last_cycle_id
    from core.unmapped_markets m
    group by m.platform, m.sport, m.external_market_id, m.error_class
) u;

comment on view palimpsest.unmapped_market is 'Markets seen that the vocabulary does not know, over all cycles, those that matter most first.';
comment on column palimpsest.unmapped_market.impact_rank is '1 is carried by most listings.';
comment on column palimpsest.unmapped_market.platform is 'Platform.';
comment on column palimpsest.unmapped_market.sport is 'Sport.';
comment on column palimpsest.unmapped_market.external_market_id is 'The platform''s own market id or key.';
comment on column palimpsest.unmapped_market.error_class is 'unknown_market, unknown_param or no_matching_outcomes.';
comment on column palimpsest.unmapped_market.name is 'The platform''s own name for it, as last seen.';
comment on column palimpsest.unmapped_market.sample_specifier is 'One specifier it came with.';
comment on column palimpsest.unmapped_market.sample_outcomes is 'Some outcome ids and names, as a JSON array.';
comment on column palimpsest.unmapped_market.occurrences is '(listing, line) pairs, summed over cycles.';
comment on column palimpsest.unmapped_market.n_listings is 'Listings that carry it, summed over cycles.';
comment on column palimpsest.unmapped_market.n_cycles is 'Cycles in which it was seen.';
comment on column palimpsest.unmapped_market.first_cycle_id is 'First cycle that saw it.';
comment on column palimpsest.unmapped_market.last_cycle_id is 'Last cycle that saw it.';
