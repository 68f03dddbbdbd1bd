"""Fixtures whose listings may not offer the same bets, so that their prices are not compared."""

from collections.abc import Sequence
from typing import Final

import psycopg

from palimpsest_pipeline.domain.enums import SuspectCode

SUSPECTS_SQL: Final = "select sr_id from core.fixtures where sr_id = any(%s) and suspect_code = any(%s) order by sr_id"


def find_suspects(conn: psycopg.Connection, sr_ids: Sequence[int]) -> list[int]:
    """Return those of these fixtures whose prices must not be compared, by the current matching."""
    return [
        sr_id
        for (sr_id,) in conn.execute(
            SUSPECTS_SQL, [list(sr_ids), [code.value for code in SuspectCode if code.may_be_two_bets]]
        ).fetchall()
    ]
