create view palimpsest.fair_prices as
select
    p.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    p.market_key,
    p.market,
    p.specifier,
    p.outcome_key,
    p.outcome,
    p.outcome_order,
    p.home_platform,
    p.platform,
    p.is_home,
    p.is_in_consensus,
    p.odds,
    p.margin,
    p.fair_multiplicative,
    p.fair_power,
    p.fair_shin,
    p.last_confirmed_at,
    p.as_of,
    p.mapping_version
from palimpsest.compared_fair_prices p
join palimpsest.upcoming_fixtures f using (sr_id);

comment on view palimpsest.fair_prices is 'Current prices that can be backed, with their fair probabilities by three methods: one row per outcome and platform, for markets that home and a competitor list, of fixtures that have not begun. Read few markets or few fixtures at a time: the methods power and Shin are computed when they are read. Key: sr_id, market_key, specifier, outcome_key, platform.';
comment on column palimpsest.fair_prices.sr_id is 'SportRadar id.';
comment on column palimpsest.fair_prices.home_team is 'Home side in the chosen claim.';
comment on column palimpsest.fair_prices.away_team is 'Away side in the chosen claim.';
comment on column palimpsest.fair_prices.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.fair_prices.tournament is 'Tournament name: home''s, otherwise the most trusted platform''s.';
comment on column palimpsest.fair_prices.country is 'Country; null when no platform gives one.';
comment on column palimpsest.fair_prices.kickoff is 'Effective kickoff.';
comment on column palimpsest.fair_prices.market_key is 'Market of the vocabulary.';
comment on column palimpsest.fair_prices.market is 'Its display name.';
comment on column palimpsest.fair_prices.specifier is 'Canonical specifier; '''' when the market has none.';
comment on column palimpsest.fair_prices.outcome_key is 'Outcome of the vocabulary. The view has no rows for open outcomes, such as players.';
comment on column palimpsest.fair_prices.outcome is 'Its display name.';
comment on column palimpsest.fair_prices.outcome_order is 'Its position in the vocabulary, for sorting.';
comment on column palimpsest.fair_prices.home_platform is 'Home platform for which it was computed.';
comment on column palimpsest.fair_prices.platform is 'Platform, home or a competitor.';
comment on column palimpsest.fair_prices.is_home is 'True for the home platform.';
comment on column palimpsest.fair_prices.is_in_consensus is 'True for a competitor whose answer is near home''s in time, and whose listing is not suspected of offering different bets.';
comment on column palimpsest.fair_prices.odds is 'Decimal odds.';
comment on column palimpsest.fair_prices.margin is 'Margin of the market on the platform; null when it cannot be computed.';
comment on column palimpsest.fair_prices.fair_multiplicative is 'Fair probability by the multiplicative method: the margin distributed evenly; null without a margin, and when an outcome would be certain.';
comment on column palimpsest.fair_prices.fair_power is 'Fair probability by the power method; null without a margin.';
comment on column palimpsest.fair_prices.fair_shin is 'Fair probability by Shin''s method; null without a margin, and unless exactly one outcome of the market wins.';
comment on column palimpsest.fair_prices.last_confirmed_at is 'Time of the platform''s last answer about the fixture.';
comment on column palimpsest.fair_prices.as_of is 'Time of the latest answer of any platform about the fixture. Nothing later was known.';
comment on column palimpsest.fair_prices.mapping_version is 'Version of the market vocabulary.';
