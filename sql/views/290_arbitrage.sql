create function palimpsest.arbitrage(
    max_age interval default '5 minutes',
    least_profit double precision default 0,
    max_skew interval default '2 minutes',
    at timestamptz default now()
)
returns table (
    profit double precision,
    sr_id bigint,
    home_team text,
    away_team text,
    tournament text,
    country text,
    kickoff timestamptz,
    market_key text,
    market text,
    specifier text,
    outcomes text[],
    platforms text[],
    odds numeric[],
    stakes double precision[],
    n_platforms integer,
    age_s double precision,
    skew_s double precision
)
language sql stable
as $$
with shared as (
    select b.*, 1 / b.best_odds::double precision / sum(1 / b.best_odds::double precision) over w as stake
    from palimpsest.best_prices b
    where b.arb and b.kickoff > arbitrage.at
    window w as (partition by b.sr_id, b.market_key, b.specifier)
)
select
    min(s.winners_k) / sum(1 / s.best_odds::double precision) - 1 as profit,
    s.sr_id,
    min(s.home_team),
    min(s.away_team),
    min(s.tournament),
    min(s.country),
    min(s.kickoff),
    s.market_key,
    min(s.market),
    s.specifier,
    array_agg(s.outcome order by s.outcome_order, s.outcome_key),
    array_agg(s.best_platform::text order by s.outcome_order, s.outcome_key),
    array_agg(s.best_odds order by s.outcome_order, s.outcome_key),
    array_agg(s.stake order by s.outcome_order, s.outcome_key),
    count(distinct s.best_platform)::integer,
    extract(epoch from arbitrage.at - min(s.best_confirmed_at))::double precision,
    extract(epoch from max(s.best_confirmed_at) - min(s.best_confirmed_at))::double precision
from shared s
group by s.sr_id, s.market_key, s.specifier
having min(s.best_confirmed_at) >= arbitrage.at - arbitrage.max_age and max(s.best_confirmed_at) <= arbitrage.at
    and max(s.best_confirmed_at) - min(s.best_confirmed_at) <= arbitrage.max_skew
    and min(s.winners_k) / sum(1 / s.best_odds::double precision) - 1 >= arbitrage.least_profit
order by 1 desc, s.sr_id, s.market_key, s.specifier
$$;

comment on function palimpsest.arbitrage is 'Markets whose best prices together lose on no result, of fixtures that have not begun, most profitable first; only markets of which home sells every outcome: one between competitors alone is not looked for. max_age: the oldest of the answers that the prices rest on is no older at the instant `at`; max_skew: these answers are no further apart; least_profit: share of the stakes, 0.01 is one per cent; at: instant from which ages and kickoffs are counted. Only prices that stand now are looked at, and a market with one that was answered after `at` is left out: that nothing is found at an instant of the past says nothing about it. profit: return on all stakes together, less 1; outcomes: what is to be backed, by name; platforms: who offers most on each of the outcomes, in their order; odds: what it offers on each, in their order; stakes: what to put on each, in their order, shares of the whole; n_platforms: how many different platforms; age_s: how old the oldest of these answers is at the instant `at`, seconds; skew_s: between the oldest and the youngest of these answers, seconds. A result that returns the stakes (a draw in draw no bet, a whole line) brings nothing. A book changes prices within seconds: look again before you act.';
