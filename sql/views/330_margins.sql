create view palimpsest.margins as
select
    m.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    m.platform,
    m.market_key,
    k.name as market,
    m.specifier,
    m.observed_from,
    m.observed_to,
    m.last_confirmed_at,
    m.margin,
    m.payout,
    m.margin_status,
    m.odds_vector,
    m.n_outcomes,
    m.n_expected,
    m.winners_k,
    m.sum_inverse,
    m.margin_reference_pct,
    m.minutes_to_kickoff,
    m.ttk_bucket,
    m.kickoff_date,
    m.as_of,
    m.mapping_version
from mart.market_margin m
left join palimpsest.fixtures f using (sr_id)
left join core.markets k using (market_key);

comment on view palimpsest.margins is 'Margins over time, up to kickoff, of the markets in PALIMPSEST_MAIN_MARKETS: one row for each period with unchanged prices of a market on a platform. Key: sr_id, platform, market_key, specifier, observed_from.';
comment on column palimpsest.margins.sr_id is 'SportRadar id.';
comment on column palimpsest.margins.home_team is 'Home side in the chosen claim.';
comment on column palimpsest.margins.away_team is 'Away side in the chosen claim.';
comment on column palimpsest.margins.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.margins.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.margins.country is 'Country; null when no platform gives one.';
comment on column palimpsest.margins.kickoff is 'Effective kickoff; null when no platform lists the fixture any more.';
comment on column palimpsest.margins.platform is 'Platform.';
comment on column palimpsest.margins.market_key is 'Market of the vocabulary.';
comment on column palimpsest.margins.market is 'Its display name.';
comment on column palimpsest.margins.specifier is 'Canonical specifier; '''' when the market has none.';
comment on column palimpsest.margins.observed_from is 'Time of the answer that first showed these prices, or showed them again after a period without them.';
comment on column palimpsest.margins.observed_to is 'Time until which the prices count as valid; null while they are valid.';
comment on column palimpsest.margins.last_confirmed_at is 'Time of the last answer that showed them.';
comment on column palimpsest.margins.margin is 'sum_inverse / winners_k - 1; null unless margin_status is ok or negative.';
comment on column palimpsest.margins.payout is 'winners_k / sum_inverse; null like margin.';
comment on column palimpsest.margins.margin_status is 'Result of the margin calculation: ok, negative, or the reason why there is no margin.';
comment on column palimpsest.margins.odds_vector is 'Decimal odds of the outcomes that can be backed, by outcome key.';
comment on column palimpsest.margins.n_outcomes is 'Outcomes that can be backed.';
comment on column palimpsest.margins.n_expected is 'Outcomes of the complete set; null when the vocabulary does not enumerate them.';
comment on column palimpsest.margins.winners_k is 'Outcomes that win; null when unknown.';
comment on column palimpsest.margins.sum_inverse is 'Sum of 1 / odds over the outcomes that can be backed; null when there are none.';
comment on column palimpsest.margins.margin_reference_pct is '(sum of 1 / odds - 1) x 100 over every price, whatever its state and winners_k, two decimals: only for comparison with figures of that kind.';
comment on column palimpsest.margins.minutes_to_kickoff is 'From observed_from to the effective kickoff, minutes.';
comment on column palimpsest.margins.ttk_bucket is 'Bucket of minutes_to_kickoff, of the scheme trader10.';
comment on column palimpsest.margins.kickoff_date is 'UTC date of the effective kickoff.';
comment on column palimpsest.margins.as_of is 'Time of the latest cycle used. Nothing later was known.';
comment on column palimpsest.margins.mapping_version is 'Version of the market vocabulary.';
