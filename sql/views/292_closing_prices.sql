-- Outcomes with an exact close were all in the platform's last answer before kickoff. So they are the market as it closed, and have one margin.
create view palimpsest.closing_prices as
select
    c.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    c.kickoff,
    c.kickoff_date,
    c.platform,
    c.platform = (select palimpsest.home_platform()) as is_home,
    c.market_key,
    k.name as market,
    c.specifier,
    c.outcome_keys[p.place] as outcome_key,
    c.odds[p.place] as close_odds,
    c.close_margin,
    w.fair_multiplicative[p.place] as fair_multiplicative,
    w.fair_power[p.place] as fair_power,
    w.fair_shin[p.place] as fair_shin,
    c.close_last_confirmed_at,
    c.close_lag_s,
    f.suspect_code,
    c.mapping_version
from (
    select
        t.sr_id,
        t.platform,
        t.market_key,
        t.specifier,
        t.kickoff_date,
        t.effective_kickoff as kickoff,
        array_agg(t.outcome_key order by t.outcome_key) as outcome_keys,
        array_agg(t.close_odds order by t.outcome_key) as odds,
        min(t.close_margin) as close_margin,
        max(t.close_last_confirmed_at) as close_last_confirmed_at,
        max(t.close_lag_s) as close_lag_s,
        max(t.mapping_version) as mapping_version
    from mart.open_close t
    where t.close_quality = 'exact'
    group by t.sr_id, t.platform, t.market_key, t.specifier, t.kickoff_date, t.effective_kickoff
) c
left join palimpsest.fixtures f using (sr_id)
left join core.markets k using (market_key)
-- The offset lets Postgres compute a method once per line, and only when its column is read.
cross join lateral (
    select
        palimpsest.fair_multiplicative(d.odds, d.winners) as fair_multiplicative,
        palimpsest.fair_power(d.odds, d.winners) as fair_power,
        palimpsest.fair_shin(d.odds, d.winners) as fair_shin
    from (
        select
            case when c.close_margin is not null then c.odds::double precision[] end as odds,
            case when k.fair_sum ~ '^\d+$' then k.fair_sum::integer end as winners
        offset 0
    ) d
    offset 0
) w
cross join lateral generate_subscripts(c.outcome_keys, 1) p (place);

comment on view palimpsest.closing_prices is 'Closing prices of the quality exact, with their fair probabilities by three methods: the prices of the platform''s last answer before kickoff, if it is near kickoff. No price is from after kickoff. Read few fixtures, kickoff dates or markets at a time: the fair probabilities are computed when they are read. Key: sr_id, platform, market_key, specifier, outcome_key.';
comment on column palimpsest.closing_prices.kickoff is 'Effective kickoff for which the close was computed.';
comment on column palimpsest.closing_prices.is_home is 'True for the home platform.';
comment on column palimpsest.closing_prices.outcome_key is 'Outcome of the vocabulary, or the outcome''s own name where a market has open outcomes.';
comment on column palimpsest.closing_prices.close_odds is 'Last price before kickoff.';
comment on column palimpsest.closing_prices.close_margin is 'Margin of the market at the close; null when it cannot be computed.';
comment on column palimpsest.closing_prices.fair_multiplicative is 'Fair probability by the multiplicative method: the margin distributed evenly; null without a margin, and when an outcome would be certain.';
comment on column palimpsest.closing_prices.fair_power is 'Fair probability by the power method; null without a margin.';
comment on column palimpsest.closing_prices.fair_shin is 'Fair probability by Shin''s method; null without a margin, and unless exactly one outcome of the market wins.';
comment on column palimpsest.closing_prices.close_last_confirmed_at is 'Time of the platform''s last answer before kickoff.';
comment on column palimpsest.closing_prices.close_lag_s is 'From close_last_confirmed_at to the effective kickoff, seconds.';
comment on column palimpsest.closing_prices.mapping_version is 'Version of the market vocabulary.';
