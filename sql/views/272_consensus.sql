create view palimpsest.consensus as
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
    p.home_odds,
    p.n_platforms,
    p.median_odds,
    p.best_odds,
    p.home_odds / p.median_odds - 1 as home_to_median,
    p.home_odds / p.best_odds::double precision - 1 as home_to_best,
    p.n_fair,
    p.home_multiplicative,
    p.median_multiplicative,
    p.best_multiplicative,
    p.home_multiplicative - p.median_multiplicative as home_minus_multiplicative,
    p.home_power,
    p.median_power,
    p.best_power,
    p.home_power - p.median_power as home_minus_power,
    p.home_shin,
    p.median_shin,
    p.best_shin,
    p.home_shin - p.median_shin as home_minus_shin,
    p.as_of
from (
    select
        c.sr_id,
        c.market_key,
        c.market,
        c.specifier,
        c.outcome_key,
        c.outcome,
        c.outcome_order,
        c.home_platform,
        max(c.odds) filter (where c.is_home) as home_odds,
        count(c.odds) filter (where c.is_in_consensus)::smallint as n_platforms,
        percentile_cont(0.5) within group (order by c.odds::double precision) filter (where c.is_in_consensus) as median_odds,
        max(c.odds) filter (where c.is_in_consensus) as best_odds,
        count(c.margin) filter (where c.is_in_consensus)::smallint as n_fair,
        max(c.fair_multiplicative) filter (where c.is_home) as home_multiplicative,
        percentile_cont(0.5) within group (order by c.fair_multiplicative) filter (where c.is_in_consensus) as median_multiplicative,
        min(c.fair_multiplicative) filter (where c.is_in_consensus) as best_multiplicative,
        max(c.fair_power) filter (where c.is_home) as home_power,
        percentile_cont(0.5) within group (order by c.fair_power) filter (where c.is_in_consensus) as median_power,
        min(c.fair_power) filter (where c.is_in_consensus) as best_power,
        max(c.fair_shin) filter (where c.is_home) as home_shin,
        percentile_cont(0.5) within group (order by c.fair_shin) filter (where c.is_in_consensus) as median_shin,
        min(c.fair_shin) filter (where c.is_in_consensus) as best_shin,
        max(c.as_of) as as_of
    from palimpsest.compared_fair_prices c
    group by c.sr_id, c.market_key, c.market, c.specifier, c.outcome_key, c.outcome, c.outcome_order, c.home_platform
    having bool_or(c.is_in_consensus)
) p
join palimpsest.upcoming_fixtures f using (sr_id);

comment on view palimpsest.consensus is 'Consensus of the competitors on each outcome, and home''s difference from it, for markets that home and a competitor list, of fixtures that have not begun. The competitors are those whose answer is near home''s in time; home is never part of the consensus. There are three fair probabilities, one per method. Medians of a market need not add up to the number of winners. Key: sr_id, market_key, specifier, outcome_key.';
comment on column palimpsest.consensus.home_odds is 'Decimal odds of home; null when home cannot be backed.';
comment on column palimpsest.consensus.n_platforms is 'Competitors with a price in the consensus.';
comment on column palimpsest.consensus.median_odds is 'Median of their decimal odds.';
comment on column palimpsest.consensus.best_odds is 'Highest of their decimal odds.';
comment on column palimpsest.consensus.home_to_median is 'home_odds / median_odds - 1.';
comment on column palimpsest.consensus.home_to_best is 'home_odds / best_odds - 1.';
comment on column palimpsest.consensus.n_fair is 'Competitors of the consensus with a margin, and so with fair probabilities.';
comment on column palimpsest.consensus.home_multiplicative is 'Home''s fair probability, multiplicative method; null when home cannot be backed or has no margin.';
comment on column palimpsest.consensus.median_multiplicative is 'Median of the fair probabilities of the consensus, multiplicative method.';
comment on column palimpsest.consensus.best_multiplicative is 'Lowest fair probability of the consensus, multiplicative method: the best for a bettor, since the fair odds are 1 / probability.';
comment on column palimpsest.consensus.home_minus_multiplicative is 'home_multiplicative - median_multiplicative: above 0 when home considers the outcome likelier than the others do.';
comment on column palimpsest.consensus.home_power is 'Home''s fair probability, power method; null when home cannot be backed or has no margin.';
comment on column palimpsest.consensus.median_power is 'Median of the fair probabilities of the consensus, power method.';
comment on column palimpsest.consensus.best_power is 'Lowest fair probability of the consensus, power method: the best for a bettor, since the fair odds are 1 / probability.';
comment on column palimpsest.consensus.home_minus_power is 'home_power - median_power: above 0 when home considers the outcome likelier than the others do.';
comment on column palimpsest.consensus.home_shin is 'Home''s fair probability, Shin''s method; null when home cannot be backed or has no margin.';
comment on column palimpsest.consensus.median_shin is 'Median of the fair probabilities of the consensus, Shin''s method.';
comment on column palimpsest.consensus.best_shin is 'Lowest fair probability of the consensus, Shin''s method: the best for a bettor, since the fair odds are 1 / probability.';
comment on column palimpsest.consensus.home_minus_shin is 'home_shin - median_shin: above 0 when home considers the outcome likelier than the others do.';
comment on column palimpsest.consensus.as_of is 'Time of the latest answer of any platform about the fixture. Nothing later was known.';
