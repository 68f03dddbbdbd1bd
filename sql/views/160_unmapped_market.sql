create view palimpsest.unmapped_market as
select
    u.platform,
    u.impact_rank,
    u.status,
    u.reason,
    u.sport,
    u.external_market_id,
    u.specifier_schema,
    u.name,
    u.error_classes,
    u.n_fixtures,
    u.occurrences,
    u.n_cycles,
    u.first_seen,
    u.last_seen,
    u.sample_specifier,
    u.sample_outcomes,
    u.proposed_market_key,
    u.proposal_evidence,
    u.mapping_version
from mart.unmapped_market u
order by u.platform, u.impact_rank;

comment on view palimpsest.unmapped_market is 'Markets that the vocabulary does not know, over all cycles, the most important first. Key: platform, sport, external_market_id, specifier_schema.';
