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

comment on function palimpsest.arbitrage is 'Markets whose best prices together lose on no result, of fixtures that have not begun, most profitable first. Only markets of which home sells every outcome are searched, not those between competitors alone. max_age: largest age, at the instant `at`, of the oldest answer behind the prices; max_skew: largest distance between these answers; least_profit: share of the stakes, 0.01 is one per cent; at: instant from which ages and kickoffs are counted. The function searches current prices only, and leaves out a market with an answer after `at`: an empty result for a past instant proves nothing about that instant. profit: return on all stakes together, less 1; outcomes: display names of the outcomes to back; platforms: platform with the best price of each outcome, in the same order; odds: best price of each outcome, in the same order; stakes: share of the whole stake to put on each outcome, in the same order; n_platforms: number of different platforms; age_s: age of the oldest of these answers at the instant `at`, in seconds; skew_s: time between the oldest and the newest of these answers, in seconds. A result that returns the stakes (a draw in draw no bet, a whole line) brings no profit. A platform changes prices within seconds: check them again before you act.';
