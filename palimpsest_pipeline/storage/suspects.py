"""Fixtures whose listings may not offer the same bets, so that their prices are not compared."""

from collections.abc import Sequence
from typing import Final

import psycopg

APART: Final = ("kickoff_mismatch", "home_away_swapped")
"""Suspect codes of fixtures whose listings may be two matches, or have the sides the other way round. `duplicate_sr_id` is none: one match under two
ids is one match under each of them."""
SUSPECTS_SQL: Final = "select sr_id from core.fixtures where sr_id = any(%s) and suspect_code = any(%s) order by sr_id"


def suspects(conn: psycopg.Connection, sr_ids: Sequence[int]) -> list[int]:
    """Those of these fixtures whose prices are not to be compared, as matching sees it today."""
    return [sr_id for (sr_id,) in conn.execute(SUSPECTS_SQL, [list(sr_ids), list(APART)]).fetchall()]
