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
comment on column palimpsest.unmapped_market.platform is 'Platform.';
comment on column palimpsest.unmapped_market.impact_rank is 'Rank on the platform: 1 is the market in the most matches.';
comment on column palimpsest.unmapped_market.status is 'new; acknowledged or ignored by the vocabulary''s triage; mapped: known now, and a replay adds its prices.';
comment on column palimpsest.unmapped_market.reason is 'Reason why it is acknowledged or ignored.';
comment on column palimpsest.unmapped_market.sport is 'Sport.';
comment on column palimpsest.unmapped_market.external_market_id is 'The platform''s own market id or key.';
comment on column palimpsest.unmapped_market.specifier_schema is 'Names of the parts of its specifiers, sorted, joined by |; empty without specifiers.';
comment on column palimpsest.unmapped_market.name is 'The platform''s own name for it, as last seen.';
comment on column palimpsest.unmapped_market.error_classes is 'Results of the vocabulary: unknown_market, unknown_param or no_matching_outcomes.';
comment on column palimpsest.unmapped_market.n_fixtures is 'Matches with this market.';
comment on column palimpsest.unmapped_market.occurrences is '(answer, specifier) pairs, summed over cycles.';
comment on column palimpsest.unmapped_market.n_cycles is 'Cycles in which it was seen.';
comment on column palimpsest.unmapped_market.first_seen is 'Time of the first answer that shows it.';
comment on column palimpsest.unmapped_market.last_seen is 'Time of the last answer that shows it.';
comment on column palimpsest.unmapped_market.sample_specifier is 'Example of a specifier.';
comment on column palimpsest.unmapped_market.sample_outcomes is 'Examples of outcome ids and names, as a JSON array.';
comment on column palimpsest.unmapped_market.proposed_market_key is 'Proposed canonical market, for a person to judge; null when none is similar enough.';
comment on column palimpsest.unmapped_market.proposal_evidence is 'Evidence for the proposal.';
comment on column palimpsest.unmapped_market.mapping_version is 'Version of the market vocabulary behind the status.';
