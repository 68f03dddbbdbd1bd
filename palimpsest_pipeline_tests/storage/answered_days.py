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
    """Return the id of the cycle that `ingest_day` writes."""
    return int(f"{day:%Y%m%d}12{minute:02}00000")


def build_answers(day: date, *listings: int, minute: int = 0, odds: int = 2000) -> list[Said]:
    """Return an answer of each listing."""
    return [
        Said(listing, noon(day, minute), {RESULT: offered(odds, 3000), TOTAL: offered(1900)}) for listing in listings
    ]


def mark(conn: psycopg.Connection, cycle_id: int, derivation: int) -> None:
    """Mark the platform's odds of the cycle as derived. Another `derivation` stands for other content."""
    versions = {"landing_digest": f"{cycle_id} {derivation}", "parser_version": "1", "mapping_version": "1"}
    derived_products.mark_derived(conn, "core", "odds_snapshots/betpawa", cycle_id, **versions, n_rows=1)


def ingest_day(conn: psycopg.Connection, day: date, *listings: int, minute: int = 0, odds: int = 2000) -> None:
    """Ingest answers of listings on a day in a cycle of its own, and mark it. Other `odds` are another derivation."""
    take_in(conn, build_answers(day, *listings, minute=minute, odds=odds), cycle_id=cycle_at(day, minute))
    mark(conn, cycle_at(day, minute), odds)
