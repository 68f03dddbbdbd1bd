"""Notifications about fixtures whose current prices were derived: NOTIFY in Postgres.

Postgres delivers them when the writer's transaction commits. If it is rolled back, they are not delivered.
"""

from collections.abc import Sequence
from typing import Final

import psycopg

FIXTURES_CHANNEL: Final = "palimpsest_fixtures"
"""Channel of the notifications.

The payload is a list of SportRadar ids, separated by commas, or `ANY_FIXTURE`.
"""
ANY_FIXTURE: Final = "any"
MAX_PAYLOAD_BYTES: Final = 7_900
"""Postgres refuses payloads of 8,000 bytes and more."""


def notify_readers(conn: psycopg.Connection, sr_ids: Sequence[int]) -> None:
    """Tell listeners that the current prices of these fixtures change with the transaction of `conn`."""
    payload = ""
    for sr_id in [*map(str, sr_ids), None]:
        if payload and (sr_id is None or len(payload) + len(sr_id) >= MAX_PAYLOAD_BYTES):
            conn.execute("select pg_notify(%s, %s)", [FIXTURES_CHANNEL, payload])
            payload = ""
        if sr_id is not None:
            payload = f"{payload},{sr_id}" if payload else sr_id


def notify_readers_of_all(conn: psycopg.Connection) -> None:
    """Tell listeners that the rows of any fixture may change with the transaction of `conn`."""
    conn.execute("select pg_notify(%s, %s)", [FIXTURES_CHANNEL, ANY_FIXTURE])


def parse_payload(payload: str) -> set[int] | None:
    """Return the SportRadar ids of a notification; None for any fixture.

    The result is empty for text that is no list of ids.
    """
    if payload == ANY_FIXTURE:
        return None
    return {int(sr_id) for sr_id in payload.split(",") if sr_id.isascii() and sr_id.isdigit()}
