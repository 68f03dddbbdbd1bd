"""Days of the odds history with an answer or two, as cycles would have left them: rows, and the marks by which an export knows them."""

from datetime import UTC, date, datetime

import psycopg

from palimpsest_pipeline.storage import products
from palimpsest_pipeline_tests.storage.history_worlds import RESULT, TOTAL, Said, offered, take_in


def noon(day: date, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, 12, minute, tzinfo=UTC)


def cycle_at(day: date, minute: int = 0) -> int:
    """Id of the cycle that `answered` writes."""
    return int(f"{day:%Y%m%d}12{minute:02}00000")


def answered(conn: psycopg.Connection, day: date, *listings: int, minute: int = 0, odds: int = 2000) -> None:
    """Listings answered on a day in a cycle of its own, with the mark of the platform's odds. Other `odds` are another derivation of it."""
    cycle_id = cycle_at(day, minute)
    take_in(conn, [Said(listing, noon(day, minute), {RESULT: offered(odds, 3000), TOTAL: offered(1900)}) for listing in listings], cycle_id=cycle_id)
    versions = {"landing_digest": f"{cycle_id} {odds}", "parser_version": "1", "mapping_version": "1"}
    products.mark(conn, "core", "odds_snapshots/betpawa", cycle_id, **versions, n_rows=1)
