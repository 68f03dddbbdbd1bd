"""Check current prices and gaps against laws: conditions that every row must satisfy.

A law must hold whatever the platforms answer. Postgres evaluates all laws of a view in one pass, because the views are
large. A column that a view computes from stored columns needs no law.
"""

from collections.abc import Mapping
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.schemas import VIOLATIONS_SCHEMA

from .current_prices import COMPARISON_TABLE, GAP_TABLE, TABLE_VIEWS

COMMON_LAWS: Final = {
    "home is not its own competitor": "platform <> home_platform",
    "no row is later than the kickoff": "coalesce(as_of < f.effective_kickoff, true)",
}
LAWS: Final[Mapping[str, Mapping[str, str]]] = {
    COMPARISON_TABLE: {
        **COMMON_LAWS,
        "answers are no later than as_of": "home_last_confirmed_at <= as_of and platform_last_confirmed_at <= as_of",
        "a price is above evens": "coalesce(home_odds > 1, true) and coalesce(platform_odds > 1, true)",
        "probabilities are ratios": (
            "coalesce(fair_home_prob between 0 and 1, true) and coalesce(fair_platform_prob between 0 and 1, true)"
        ),
        "the best odds are no worse than home's and belong to a platform": (
            "(home_state <> 'offered' or coalesce(best_odds >= home_odds, false))"
            " and (best_platform is distinct from platform"
            " or coalesce(comparable and best_odds = platform_odds, false))"
            " and (best_odds is null) = (best_platform is null)"
        ),
        "home ranks first exactly when it is best or tied": (
            "(home_is_best is null) = (rank_home is null) and (home_tied_best is null) = (rank_home is null)"
            " and coalesce((rank_home = 1) = (home_is_best or home_tied_best), true) and coalesce(rank_home >= 1, true)"
            " and (not comparable or rank_home is not null)"
        ),
        "an arbitrage has its sum": (
            "(arb is null) = (cross_book_sum_inverse is null) and coalesce(cross_book_sum_inverse > 0, true)"
        ),
    },
    GAP_TABLE: {
        **COMMON_LAWS,
        "the gap type follows from the states": """
            case gap_type
                when 'home_missing' then platform_state = 'offered'
                    and coalesce(home_state, 'withdrawn') in ('withdrawn', 'event_dropped')
                when 'platform_missing' then home_state = 'offered'
                    and coalesce(platform_state, 'withdrawn') in ('withdrawn', 'event_dropped')
                when 'home_suspended_only' then platform_state = 'offered' and home_state in ('suspended', 'no_price')
                when 'platform_suspended_only' then home_state = 'offered'
                    and platform_state in ('suspended', 'no_price')
                when 'both' then home_state is distinct from 'offered' and platform_state is distinct from 'offered'
                else not (coalesce(home_state, '') = 'offered' and coalesce(platform_state, '') = 'offered')
            end
        """,
        "home or the platform lists the market": (
            "home_state in ('offered', 'suspended', 'no_price')"
            " or platform_state in ('offered', 'suspended', 'no_price')"
        ),
        "a state has a begin": (
            "(home_state is null) = (home_state_since is null)"
            " and (platform_state is null) = (platform_state_since is null)"
        ),
        "a gap opened before as_of": "coalesce(gap_minutes >= 0, true)",
        "the kickoff is in the future": "minutes_to_kickoff > 0",
    },
}


def find_violations(conn: psycopg.Connection, table: str) -> pl.DataFrame:
    """Return the laws that rows of `table` break (VIOLATIONS_SCHEMA); empty when there are none.

    Each row has the law, the key of one row that breaks it, and a sentence with the number of such rows.
    """
    laws = LAWS[table]
    view, names = TABLE_VIEWS[table]
    key = f"concat_ws(' ', {', '.join(names)})"
    breaks_sql = ", ".join(f"({law}) is not true as breaks_{place}" for place, law in enumerate(laws.values()))
    is_lawful_sql = " and ".join(f"({law})" for law in laws.values())
    counts_sql = ", ".join(
        f"count(*) filter (where breaks_{place}), min(key) filter (where breaks_{place})" for place in range(len(laws))
    )
    # Nearly all rows satisfy all laws. For them each law is evaluated once, and no key is computed.
    rows = (
        f"select {key} as key, {breaks_sql} from {view} left join core.fixtures f using (sr_id) "
        f"where ({is_lawful_sql}) is not true"
    )
    row = conn.execute(f"with broken as materialized ({rows}) select {counts_sql} from broken").fetchone()
    assert row is not None
    violations = [
        (law, n, first) for law, (n, first) in zip(laws, zip(row[::2], row[1::2], strict=True), strict=True) if n
    ]
    return pl.DataFrame(
        [(law, first, f"{law}: {n} rows, e.g. {first}") for law, n, first in violations],
        schema=VIOLATIONS_SCHEMA,
        orient="row",
    )
