"""Read exact closing prices with their fair probabilities, and their fixtures. Reads only.

Analysts may run these queries too: they read the schema `palimpsest` alone.
"""

from collections.abc import Sequence
from typing import Any, Final

import polars as pl
import psycopg

from ..db.copy_frames import read_frame

_FIXTURES_SQL: Final = (
    "select sr_id, kickoff, suspect_code from palimpsest.fixtures where sr_id = any(%(sr_ids)s::bigint[])"
)
CLOSES_SQL: Final = """
select sr_id, platform, is_home, market_key, specifier, outcome_key, kickoff, close_odds::float8 as close_odds,
    close_lag_s, fair_multiplicative, fair_power, fair_shin
from palimpsest.closing_prices
where sr_id = any(%(sr_ids)s::bigint[]) and market_key = any(%(market_keys)s::text[])
"""


def read_judged_fixtures(conn: psycopg.Connection[Any], sr_ids: Sequence[int]) -> pl.DataFrame:
    """Return those of the fixtures that are known: sr_id, effective kickoff, suspect code or null."""
    return read_frame(conn, _FIXTURES_SQL, {"sr_ids": list(sr_ids)})


def read_closing_prices(
    conn: psycopg.Connection[Any], sr_ids: Sequence[int], market_keys: Sequence[str]
) -> pl.DataFrame:
    """Return the exact closes of these markets, one row per outcome and platform.

    `close_lag_s` is the time from the last answer to `kickoff`. The fair probabilities are null when the market had no
    margin.
    """
    params = {"sr_ids": list(sr_ids), "market_keys": list(market_keys)}
    return read_frame(conn, CLOSES_SQL, params)
