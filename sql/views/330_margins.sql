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
comment on column palimpsest.margins.kickoff is 'Effective kickoff; null when no platform lists the fixture any more.';
comment on column palimpsest.margins.margin_status is 'Result of the margin calculation: ok, negative, or the reason why there is no margin.';
comment on column palimpsest.margins.margin_reference_pct is '(sum of 1 / odds - 1) x 100 over every price, whatever its state and winners_k, two decimals: only for comparison with figures of that kind.';
