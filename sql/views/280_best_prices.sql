create view palimpsest.best_prices as
select
    b.sr_id,
    f.home_team,
    f.away_team,
    f.tournament_key,
    f.tournament,
    f.country,
    f.kickoff,
    b.market_key,
    b.market,
    b.specifier,
    b.outcome_key,
    b.outcome,
    b.outcome_order,
    b.best_platform,
    b.best_odds,
    b.best_confirmed_at,
    b.betpawa_odds,
    b.sportybet_odds,
    b.bet9ja_odds,
    b.home_platform,
    b.home_is_best,
    b.home_tied_best,
    b.rank_home,
    b.n_compared,
    b.winners_k,
    b.cross_book_sum_inverse,
    b.arb,
    b.as_of
from (
    select
        p.sr_id,
        p.market_key,
        min(p.market) as market,
        p.specifier,
        p.outcome_key,
        min(p.outcome) as outcome,
        min(p.outcome_order) as outcome_order,
        min(p.winners_k) as winners_k,
        p.home_platform,
        max(p.best_platform) as best_platform,
        max(p.best_odds) as best_odds,
        coalesce(
            max(p.platform_last_confirmed_at) filter (where p.platform = p.best_platform),
            max(p.home_last_confirmed_at) filter (where p.home_platform = p.best_platform)
        ) as best_confirmed_at,
        max(case when p.home_platform = 'betpawa' then h.odds when p.platform = 'betpawa' then c.odds end) as betpawa_odds,
        max(case when p.home_platform = 'sportybet' then h.odds when p.platform = 'sportybet' then c.odds end) as sportybet_odds,
        max(case when p.home_platform = 'bet9ja' then h.odds when p.platform = 'bet9ja' then c.odds end) as bet9ja_odds,
        bool_or(p.home_is_best) as home_is_best,
        bool_or(p.home_tied_best) as home_tied_best,
        max(p.rank_home) as rank_home,
        count(*) filter (where p.comparable)::smallint as n_compared,
        max(p.cross_book_sum_inverse) as cross_book_sum_inverse,
        bool_or(p.arb) as arb,
        max(p.as_of) as as_of
    from palimpsest.compared_prices p
    cross join lateral (select case when p.home_state = 'offered' then p.home_odds end as odds) h
    cross join lateral (select case when p.comparable then p.platform_odds end as odds) c
    where p.best_platform is not null
    group by p.sr_id, p.market_key, p.specifier, p.outcome_key, p.home_platform
) b
join palimpsest.upcoming_fixtures f using (sr_id);

comment on view palimpsest.best_prices is 'Who offers most on each outcome that home sells, with a column per platform, as things stand, of fixtures that have not begun. An outcome that home does not list, or that cannot be backed there, is not here, whoever else offers it: see gaps. Key: sr_id, market_key, specifier, outcome_key.';
comment on column palimpsest.best_prices.sr_id is 'SportRadar id.';
comment on column palimpsest.best_prices.home_team is 'Home side of the chosen claim.';
comment on column palimpsest.best_prices.away_team is 'Away side of the chosen claim.';
comment on column palimpsest.best_prices.tournament_key is 'Tournament across platforms.';
comment on column palimpsest.best_prices.tournament is 'Tournament name: home''s, else by trust.';
comment on column palimpsest.best_prices.country is 'Country; null when nobody gives one.';
comment on column palimpsest.best_prices.kickoff is 'Effective kickoff.';
comment on column palimpsest.best_prices.market_key is 'Market of the vocabulary.';
comment on column palimpsest.best_prices.market is 'Its name for people.';
comment on column palimpsest.best_prices.specifier is 'Canonical specifier; '''' when the market has none.';
comment on column palimpsest.best_prices.outcome_key is 'Outcome of the vocabulary, or the outcome''s own name where a market has open outcomes.';
comment on column palimpsest.best_prices.outcome is 'Its name for people.';
comment on column palimpsest.best_prices.outcome_order is 'Its place in the vocabulary, to sort by; null for an open outcome.';
comment on column palimpsest.best_prices.best_platform is 'Who offers most, of home and competitors whose answers are near its and each other''s; home, then by trust, where several do.';
comment on column palimpsest.best_prices.best_odds is 'What it offers, decimal odds.';
comment on column palimpsest.best_prices.best_confirmed_at is 'Its last answer on the fixture: how old the best price may be.';
comment on column palimpsest.best_prices.betpawa_odds is 'Decimal odds on BetPawa; null: it cannot be backed there, or not be compared with home.';
comment on column palimpsest.best_prices.sportybet_odds is 'Decimal odds on SportyBet; null: it cannot be backed there, or not be compared with home.';
comment on column palimpsest.best_prices.bet9ja_odds is 'Decimal odds on Bet9ja; null: it cannot be backed there, or not be compared with home.';
comment on column palimpsest.best_prices.home_platform is 'Home platform it was computed for.';
comment on column palimpsest.best_prices.home_is_best is 'Home alone offers most; null when home is comparable with none.';
comment on column palimpsest.best_prices.home_tied_best is 'Home offers most together with others; null like home_is_best.';
comment on column palimpsest.best_prices.rank_home is '1 + how many comparable competitors offer more; null like home_is_best.';
comment on column palimpsest.best_prices.n_compared is 'Competitors whose price is comparable with home''s.';
comment on column palimpsest.best_prices.winners_k is 'Outcomes of the market that win; null when unknown.';
comment on column palimpsest.best_prices.cross_book_sum_inverse is 'Sum of the inverse best odds over the market''s outcomes, of answers near each other; null unless every outcome of a complete set has one.';
comment on column palimpsest.best_prices.arb is 'That sum is below winners_k: backing each outcome at its best price wins; null without the sum. See the function arbitrage.';
comment on column palimpsest.best_prices.as_of is 'Latest answer of any platform on the fixture: nothing later was known.';
