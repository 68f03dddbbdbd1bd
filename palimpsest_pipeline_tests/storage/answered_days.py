"""Days of the odds history with an answer or two, as cycles would have left them: rows, and the marks by which an
export knows them.
"""

from datetime import UTC, date, datetime

import psycopg

from palimpsest_pipeline.storage.derivation import derived_products

from .history_worlds import RESULT, TOTAL, Said, offered, take_in


def noon(day: date, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, 12, minute, tzinfo=UTC)


def cycle_at(day: date, minute: int = 0) -> int:
    """Id of the cycle that `answered` writes."""
    return int(f"{day:%Y%m%d}12{minute:02}00000")


def said(day: date, *listings: int, minute: int = 0, odds: int = 2000) -> list[Said]:
    """An answer of each of the listings."""
    return [
        Said(listing, noon(day, minute), {RESULT: offered(odds, 3000), TOTAL: offered(1900)}) for listing in listings
    ]


def mark(conn: psycopg.Connection, cycle_id: int, derivation: int) -> None:
    """The platform's odds of the cycle stand. Another `derivation` is from other content."""
    versions = {"landing_digest": f"{cycle_id} {derivation}", "parser_version": "1", "mapping_version": "1"}
    derived_products.mark_derived(conn, "core", "odds_snapshots/betpawa", cycle_id, **versions, n_rows=1)


def answered(conn: psycopg.Connection, day: date, *listings: int, minute: int = 0, odds: int = 2000) -> None:
    """Listings answered on a day in a cycle of its own, with its mark. Other `odds` are another derivation of it."""
    take_in(conn, said(day, *listings, minute=minute, odds=odds), cycle_id=cycle_at(day, minute))
    mark(conn, cycle_at(day, minute), odds)
