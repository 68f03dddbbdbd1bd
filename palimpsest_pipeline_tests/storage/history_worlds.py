"""Small worlds of answers, the frames that `history.ingest_answers` takes, and the history they must come to, computed
one by one in plain Python.

The oracle here knows nothing of the code under test: answers in order, dictionaries, comparisons.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import psycopg

from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.storage.odds import history
from palimpsest_pipeline.storage.odds.change_rows import CONTENT_SCHEMA
from palimpsest_pipeline.storage.odds.day_sources import PostgresDays
from palimpsest_pipeline.storage.odds.market_lines import name_lines

DAYS = (date(2026, 3, 1), date(2026, 3, 2), date(2026, 3, 4))
INGESTED_AT = datetime(2026, 5, 1, tzinfo=UTC)
CYCLE_ID = 20260301120000000

Key = tuple[int, str, str]
Facts = tuple[str, int, tuple[int | None, ...]]
Book = Mapping[Key, Facts]

RESULT: Key = (1, "", "")
TOTAL: Key = (2, "total=2.5", "")
SCORER: Key = (3, "", 'O\'Neil, "Al" {x} \\ NULL')


@dataclass(frozen=True)
class Said:
    """One answer: a listing's whole book at an instant."""

    listing_id: int
    observed_at: datetime
    book: Book


def at(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(DAYS[day].year, DAYS[day].month, DAYS[day].day, hour, minute, 0, 123456, tzinfo=UTC)


def offered(*odds: int | None) -> Facts:
    return ("offered", 0, odds)


def capture_frame(answers: Sequence[Said]) -> pl.DataFrame:
    rows = [
        {
            "listing_id": a.listing_id,
            "observed_at": a.observed_at,
            "n_markets_listed": len(a.book) + 1,
            "n_markets_mapped": len(a.book),
            "n_markets_priced": sum(state == "offered" for state, _, _ in a.book.values()),
            "n_prices": sum(price is not None for _, _, odds in a.book.values() for price in odds),
            "n_prices_merged": len(a.book) % 2,
        }
        for a in answers
    ]
    return pl.DataFrame(rows, schema=history.CAPTURE_INPUT_SCHEMA, orient="row")


def row_frame(answers: Sequence[Said]) -> pl.DataFrame:
    rows = [
        (a.listing_id, a.observed_at, *key, state, off_mask, list(odds))
        for a in answers
        for key, (state, off_mask, odds) in a.book.items()
    ]
    return pl.DataFrame(rows, schema=CONTENT_SCHEMA, orient="row")


def take_in(conn: psycopg.Connection, answers: Sequence[Said], **changed: Any) -> history.IngestStats:
    constants: dict[str, Any] = {
        "cycle_id": CYCLE_ID,
        "mapping_version": "1",
        "ingested_at": INGESTED_AT,
        "platform": "betpawa",
    }
    return history.ingest_answers(conn, capture_frame(answers), row_frame(answers), **{**constants, **changed})


@dataclass
class Expected:
    """What the tables must hold: sets of tuples in the order of the statements in `stored`."""

    captures: set[tuple[Any, ...]]
    changes: set[tuple[Any, ...]]
    current: set[tuple[Any, ...]]


def gone(facts: Facts) -> Facts:
    return ("withdrawn", 0, (None,) * len(facts[2]))


def differences(before: Book, after: Book) -> dict[Key, Facts]:
    moved = {key: facts for key, facts in after.items() if before.get(key) != facts}
    return {**moved, **{key: gone(facts) for key, facts in before.items() if key not in after}}


def expected(answers: Iterable[Said]) -> Expected:
    """The history of these answers, each taken once and in order."""
    result = Expected(set(), set(), set())
    books: dict[int, tuple[date, Book]] = {}
    since: dict[tuple[int, Key], tuple[datetime, Facts, datetime]] = {}
    for a in sorted(answers, key=lambda a: (a.listing_id, a.observed_at)):
        last_day, last_book = books.get(a.listing_id, (None, {}))
        moved = differences(last_book, a.book)
        keyframe = last_day != a.observed_at.date()
        rows = dict(a.book) if keyframe else moved
        result.changes |= {(a.listing_id, a.observed_at, *key, *facts, keyframe) for key, facts in rows.items()}
        counts = capture_frame([a]).row(0)
        result.captures.add((*counts, keyframe, len(rows)))
        for key, facts in moved.items():
            _, (state, *_), entered_at = since.get((a.listing_id, key), (None, (None,), None))
            since[a.listing_id, key] = (
                a.observed_at,
                facts,
                entered_at if entered_at and state == facts[0] else a.observed_at,
            )
        books[a.listing_id] = (a.observed_at.date(), a.book)
    result.current = {
        (listing, *key, *facts, changed_at, entered_at)
        for (listing, key), (changed_at, facts, entered_at) in since.items()
    }
    return result


def expected_as_of(answers: Iterable[Said], instant: datetime, listing_ids: Iterable[int]) -> set[tuple[Any, ...]]:
    """Every market of the listings as it stood, by that day's answers alone."""
    found: set[tuple[Any, ...]] = set()
    for listing in listing_ids:
        day = sorted(
            (
                a
                for a in answers
                if a.listing_id == listing and a.observed_at.date() == instant.date() and a.observed_at <= instant
            ),
            key=lambda a: a.observed_at,
        )
        book: Book = {}
        state: dict[Key, tuple[Facts, datetime]] = {}
        for a in day:
            state.update({key: (facts, a.observed_at) for key, facts in differences(book, a.book).items()})
            book = a.book
        found |= {(listing, *key, *facts, since, day[-1].observed_at) for key, (facts, since) in state.items()}
    return found


def as_of(conn: psycopg.Connection, instant: datetime, listing_ids: Sequence[int]) -> set[tuple[Any, ...]]:
    """What the history in Postgres says of the listings, as `expected_as_of` has it."""
    hot, day = PostgresDays(conn), instant.date()
    books = name_lines(conn, hot.read_books(day, hot.read_last_answers(get_day_start(day), instant, listing_ids)))
    columns = (
        "listing_id",
        "market_id",
        "specifier",
        "outcome",
        "state",
        "off_mask",
        "odds_milli",
        "observed_at",
        "answered_at",
    )
    return {tuple(tuple(v) if isinstance(v, list) else v for v in row) for row in books.select(columns).iter_rows()}


def read_stored_history(conn: psycopg.Connection) -> Expected:
    """What the tables hold."""

    def rows(statement: str) -> list[tuple[Any, ...]]:
        return [
            tuple(tuple(v) if isinstance(v, list) else v for v in row) for row in conn.execute(statement).fetchall()
        ]  # type: ignore[call-overload]

    captures = rows(
        "select listing_id, observed_at, n_markets_listed, n_markets_mapped, n_markets_priced, n_prices, n_prices_merged, keyframe, n_changed"
        " from core.captures"
    )
    changes = rows(
        "select listing_id, observed_at, market_id, specifier, outcome, state::text, coalesce(off_mask, 0), odds_milli, keyframe"
        " from core.market_changes left join ops.market_lines using (line_id)"
    )
    current = rows(
        "select listing_id, market_id, specifier, outcome, state::text, coalesce(off_mask, 0), odds_milli, changed_at, state_since"
        " from core.current_markets left join ops.market_lines using (line_id)"
    )
    assert len(set(changes)) == len(changes), "a row of history is there twice"
    return Expected(set(captures), set(changes), set(current))
