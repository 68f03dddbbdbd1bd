create view palimpsest.mapping_coverage as
select
    m.cycle_id,
    m.as_of,
    m.platform,
    m.sport,
    sum(m.n_markets_seen)::integer as n_markets_seen,
    sum(m.n_mapped)::integer as n_mapped,
    round(sum(m.n_mapped)::numeric / sum(m.n_markets_seen), 8) as mapped_rate,
    sum(m.n_unknown_market)::integer as n_unknown_market,
    sum(m.n_unknown_param)::integer as n_unknown_param,
    sum(m.n_no_matching_outcomes)::integer as n_no_matching_outcomes,
    m.mapping_version
from mart.mapping_coverage m
group by m.cycle_id, m.as_of, m.platform, m.sport, m.mapping_version;

comment on view palimpsest.mapping_coverage is 'Share of the markets that each platform showed in a cycle and that the market vocabulary knows, all families together. Key: cycle_id, platform, sport.';
comment on column palimpsest.mapping_coverage.n_markets_seen is '(answer, market, specifier) triples seen.';
comment on column palimpsest.mapping_coverage.n_mapped is 'Triples whose outcomes are all known.';
comment on column palimpsest.mapping_coverage.mapped_rate is 'n_mapped / n_markets_seen, in [0, 1].';
comment on column palimpsest.mapping_coverage.n_unknown_market is 'Triples whose market id is not in the vocabulary.';
comment on column palimpsest.mapping_coverage.n_unknown_param is 'Triples whose specifier the vocabulary cannot read.';
comment on column palimpsest.mapping_coverage.n_no_matching_outcomes is 'Triples with an outcome that the vocabulary lacks.';
