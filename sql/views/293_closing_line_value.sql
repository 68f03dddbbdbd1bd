create function palimpsest.closing_line_value(
    at timestamptz,
    fixture bigint default null,
    tournament text default null,
    seller text default palimpsest.home_platform()
)
returns table (
    sr_id bigint,
    home_team text,
    away_team text,
    kickoff timestamptz,
    platform text,
    market_key text,
    specifier text,
    outcome_key text,
    odds numeric,
    last_confirmed_at timestamptz,
    close_platform text,
    close_odds numeric,
    close_lag_s double precision,
    clv double precision,
    clv_multiplicative double precision,
    clv_power double precision,
    clv_shin double precision
)
language sql stable
as $$
with priced as materialized (
    select p.*
    from palimpsest.prices_as_of(closing_line_value.at, closing_line_value.fixture, closing_line_value.tournament) p
    where p.platform = closing_line_value.seller and p.is_active
),
closed as materialized (
    select c.*
    from palimpsest.closing_prices c
    where c.sr_id = any(array(select distinct p.sr_id from priced p)) and c.kickoff > closing_line_value.at
)
select
    p.sr_id, p.home_team, p.away_team, c.kickoff, p.platform, p.market_key, p.specifier, p.outcome_key, p.odds, p.last_confirmed_at,
    c.platform, c.close_odds, c.close_lag_s,
    p.odds::double precision / c.close_odds::double precision - 1,
    p.odds::double precision * c.fair_multiplicative - 1,
    p.odds::double precision * c.fair_power - 1,
    p.odds::double precision * c.fair_shin - 1
from priced p
join closed c using (sr_id, market_key, specifier, outcome_key)
where c.platform = p.platform or c.suspect_code is null or c.suspect_code not in ('kickoff_mismatch', 'home_away_swapped')
order by p.sr_id, p.market_key, p.specifier, p.outcome_key, c.platform
$$;

comment on function palimpsest.closing_line_value is 'Closing-line value of home''s prices, or another platform''s, at an instant before kickoff: each price that could be backed then, against the closing price of each platform. at: the instant, of a day that is in Postgres; only answers of the same UTC day count, so shortly after midnight UTC a platform without an answer since then has no rows (the command palimpsest closing-line-value --at has neither limit); fixture: SportRadar id, null for all; tournament: tournament_key, null for all; seller: the platform whose prices are judged, home by default. Only closes of the quality exact count, and only fixtures that begin after the instant. A fixture whose listings may be different bets (suspect_code) is compared with the platform''s own close only. sr_id: SportRadar id; home_team and away_team: sides in the chosen claim; market_key: market of the vocabulary; specifier: canonical specifier; outcome_key: outcome of the vocabulary; platform: the seller; odds: its decimal odds; last_confirmed_at: its last answer up to the instant; close_platform: platform of the closing price, which may be the seller itself; close_odds: its closing odds; close_lag_s: from its last answer to kickoff, seconds; clv: odds / close_odds - 1; clv_multiplicative, clv_power and clv_shin: odds times the fair probability of the close by this method, less 1, null without a margin. Above 0, the price was better for the bettor than the close.';
