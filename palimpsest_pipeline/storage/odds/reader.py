"""One history, wherever its days lie: questions over hot days in Postgres and cold days in the archive.

Belongs here: telling hot from cold, asking both the same thing, and naming what comes back. Does not: how either side
is asked (`day_sources`), writing (`history`, `archive`), what a price means (`metrics`).

A day is hot when Postgres has rows of it, else cold when the archive's catalogue has it, else nothing was ever observed
on it. As-of means as
of observed_at: what had been observed by then. It rests on one UTC day of each listing, since each day begins with the
listing's whole book.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.domain.schemas import INSTANT

from ..archive import Archive, ArchiveError
from ..db.copy_frames import Schema, read_frame
from . import partitions
from .change_rows import CAPTURE_SCHEMA, CHANGE_SCHEMA
from .day_sources import ANSWERS_SCHEMA, BOOKS_SCHEMA, DAY, ArchivedDays, DaySource, IdFilter, PostgresDays
from .history_names import HistoryNames, PostgresNames
from .price_changes import derive_outcome_changes, explode_outcomes

# Of cycles of the last hour all answers may be of the next day; recorded ones are of any day.
OBSERVED_DAYS_SQL: Final = """
select distinct (y.partition_hour at time zone 'UTC')::date as day
from core.cycles y
join core.cycle_products p using (cycle_id)
where (y.partition_hour at time zone 'UTC')::date = any(%(days)s::date[]) and extract(hour from y.partition_hour at time zone 'UTC') < 23
    and y.scope <> 'recorded' and starts_with(p.product, 'odds_snapshots/') and p.n_rows > 0
order by 1
"""

MARKETS_SCHEMA: Final[Schema] = {
    "platform": pl.String,
    "sr_id": pl.Int64,
    "listing_id": pl.Int32,
    "external_id": pl.String,
    "is_primary": pl.Boolean,
    "market_key": pl.String,
    "specifier": pl.String,
    "outcome": pl.String,
    "state": pl.String,
    "off_mask": pl.Int64,
    "odds_milli": pl.List(pl.Int32),
    "observed_at": INSTANT,
    "last_confirmed_at": INSTANT,
}
"""Columns of `read_markets_as_of`: one row a market. `sr_id` null: unidentified. `outcome`: '' but where a market takes
one row an outcome.
`odds_milli`: decimal odds x 1000 by outcome ordinal, null without a price; bit i-1 of `off_mask`: outcome i cannot be
backed. `observed_at`: the answer since which it stands so within its UTC day; `last_confirmed_at`: the listing's last
answer up to the instant."""

PRICES_SCHEMA: Final[Schema] = {
    **{
        name: kind
        for name, kind in MARKETS_SCHEMA.items()
        if name not in {"outcome", "state", "off_mask", "odds_milli"}
    },
    "outcome_key": pl.String,
    "ordinal": pl.Int16,
    "odds": pl.Float64,
    "state": pl.String,
    "is_active": pl.Boolean,
}
"""Columns of `prices_as_of`: one row an outcome. `ordinal`: its place in the vocabulary, null for an open outcome (a
player), whose `outcome_key` is the platform's own. `odds`: decimal odds, null without a price. `is_active`: it could be
backed."""

PRICE_CHANGES_SCHEMA: Final[Schema] = {
    **{name: kind for name, kind in PRICES_SCHEMA.items() if name not in {"observed_at", "last_confirmed_at"}},
    "observed_at": INSTANT,
    "previous_odds": pl.Float64,
}
"""Columns of `read_price_changes`: one row each time an outcome came to stand otherwise. `observed_at`: the answer that
showed it. `previous_odds`: null without a price before, and in an outcome's first row."""

MAX_SHOWN_DAYS: Final = 3
INSTANT_RESOLUTION: Final = timedelta(microseconds=1)
"""Resolution of an instant."""


class OddsHistoryReader:
    """The odds history over hot and cold days.

    `conn`: READ COMMITTED, in a transaction or not. What is hot stays hot until a question is answered, or until the
    caller's transaction ends. Instants are aware (ValueError otherwise). What the archive raises passes through: a day
    that cannot be read is never an empty answer.
    """

    def __init__(self, conn: psycopg.Connection[Any], archive: Archive) -> None:
        self._conn = conn
        self._hot = PostgresDays(conn)
        self._cold = ArchivedDays(archive)
        self._names: HistoryNames = PostgresNames(conn)

    def read_changes(
        self, listing_ids: Iterable[int] | None, first_day: date, last_day: date, line_ids: Iterable[int] | None = None
    ) -> pl.DataFrame:
        """Rows of history of UTC days, both included (CHANGE_SCHEMA), by listing, line and instant.

        None: all listings, all lines.
        """
        ids, lines = _sort_ids(listing_ids), _sort_ids(line_ids)
        with self._split_by_source(first_day, last_day) as sides:
            found = [side.read_changes(days, ids, lines) for side, days in sides]
        return _concat_frames(found, CHANGE_SCHEMA).sort("listing_id", "line_id", "observed_at")

    def read_captures(self, listing_ids: Iterable[int] | None, first_day: date, last_day: date) -> pl.DataFrame:
        """Answers of UTC days, both included (CAPTURE_SCHEMA), by listing and instant. None: all listings."""
        ids = _sort_ids(listing_ids)
        with self._split_by_source(first_day, last_day) as sides:
            found = [side.read_captures(days, ids) for side, days in sides]
        return _concat_frames(found, CAPTURE_SCHEMA).sort("listing_id", "observed_at")

    def read_markets_as_of(
        self,
        instant: datetime,
        *,
        sr_ids: Iterable[int] | None = None,
        tournament_keys: Iterable[str] | None = None,
        listing_ids: Iterable[int] | None = None,
        max_age: timedelta | None = None,
    ) -> pl.DataFrame:
        """Every market as it stood at `instant` (MARKETS_SCHEMA), by listing, market, specifier, outcome. What is given
        narrows; nothing: everything.

        Without `max_age` a listing speaks by its last answer of the instant's UTC day up to the instant, and has no row
        before its first answer of
        that day: the evening before is asked for by an instant of that day. With `max_age` it speaks by its last answer
        up to the instant that is no older, on whatever day, so that midnight is no hole. Markets that went since the
        answer's day began are there, as withdrawn.
        """
        instant = _to_utc(instant)
        earliest = self._find_earliest(instant, max_age)
        asked = self._find_listing_ids(
            _sort_ids(sr_ids), None if tournament_keys is None else sorted(set(tournament_keys)), _sort_ids(listing_ids)
        )
        spoken = pl.DataFrame(schema=ANSWERS_SCHEMA)
        books: list[pl.DataFrame] = []
        with self._split_by_source(earliest.date(), instant.date()) as sides:
            for day, side in sorted(
                ((day, side) for side, days in sides for day in days), key=lambda placed: placed[0], reverse=True
            ):
                until = min(instant, get_day_start(day + DAY) - INSTANT_RESOLUTION)
                answers = side.read_last_answers(max(earliest, get_day_start(day)), until, asked).join(
                    spoken, on="listing_id", how="anti"
                )
                books.append(side.read_books(day, answers))
                spoken = pl.concat([spoken, answers])
        return self._name_markets(_concat_frames(books, BOOKS_SCHEMA))

    def read_prices_as_of(
        self,
        instant: datetime,
        *,
        sr_ids: Iterable[int] | None = None,
        tournament_keys: Iterable[str] | None = None,
        listing_ids: Iterable[int] | None = None,
        max_age: timedelta | None = None,
    ) -> pl.DataFrame:
        """Every outcome as it stood at `instant` (PRICES_SCHEMA): `read_markets_as_of` with a row an outcome, in the
        vocabulary's order.
        """
        markets = self.read_markets_as_of(
            instant, sr_ids=sr_ids, tournament_keys=tournament_keys, listing_ids=listing_ids, max_age=max_age
        )
        rows = self._add_outcomes(explode_outcomes(markets))
        return rows.sort("listing_id", "market_key", "specifier", "ordinal", "outcome_key", nulls_last=True).select(
            *PRICES_SCHEMA
        )

    def read_price_changes(
        self,
        first_day: date,
        last_day: date,
        *,
        sr_ids: Iterable[int] | None = None,
        tournament_keys: Iterable[str] | None = None,
        listing_ids: Iterable[int] | None = None,
    ) -> pl.DataFrame:
        """Each change of a price or state on UTC days, both included, once (PRICE_CHANGES_SCHEMA), by listing, market,
        specifier, outcome, instant.

        What is given narrows; nothing: everything. A price that was there before the first day begins with its first
        answer on these days.
        """
        ids = self._find_listing_ids(
            _sort_ids(sr_ids), None if tournament_keys is None else sorted(set(tournament_keys)), _sort_ids(listing_ids)
        )
        with self._split_by_source(first_day, last_day) as sides:
            changes = _concat_frames([side.read_changes(days, ids) for side, days in sides], CHANGE_SCHEMA)
            captures = _concat_frames([side.read_captures(days, ids) for side, days in sides], CAPTURE_SCHEMA)
        rows = self._add_outcomes(self._add_names(derive_outcome_changes(changes, captures))).with_columns(
            previous_odds=_build_decimal_expr("previous_odds_milli")
        )
        keys = ("listing_id", "market_key", "specifier", "ordinal", "outcome_key", "observed_at")
        return rows.sort(keys, nulls_last=True).select(*PRICE_CHANGES_SCHEMA)

    def read_book(self, listing_id: int, observed_at: datetime) -> pl.DataFrame:
        """The whole book of one past answer (MARKETS_SCHEMA), without what it no longer had.

        Raises LookupError when there is no such answer.
        """
        observed_at = _to_utc(observed_at)
        day = observed_at.date()
        with self._split_by_source(day, day) as sides:
            for side, _ in sides:
                answers = side.read_last_answers(observed_at, observed_at, [listing_id])
                if answers.height:
                    return self._name_markets(
                        side.read_books(day, answers).filter(pl.col("state") != MarketState.WITHDRAWN.value)
                    )
        raise LookupError(
            f"listing {listing_id} has no answer at {observed_at.isoformat()}: captures() lists the answers there are"
        )

    def _find_earliest(self, instant: datetime, max_age: timedelta | None) -> datetime:
        """From when on an answer may speak at the instant."""
        return get_day_start(instant.date()) if max_age is None else instant - max_age

    @contextmanager
    def _split_by_source(self, first_day: date, last_day: date) -> Iterator[list[tuple[DaySource, list[date]]]]:
        """Which side has which of the days, sorted; it stays so in the block. Days that neither has were never
        observed.

        Raises ArchiveError when they were.
        """
        asked = [first_day + n * DAY for n in range((last_day - first_day).days + 1)]
        with self._conn.transaction():
            partitions.hold_partitions(
                self._conn
            )  # before looking: what is dropped after this is not, and what was dropped before is in the archive
            hot = self._hot.list_days(asked)
            cold = self._cold.list_days([day for day in asked if day not in hot]) if len(hot) < len(asked) else []
            self._require_unobserved([day for day in asked if day not in hot and day not in cold])
            yield [(side, days) for side, days in ((self._cold, cold), (self._hot, hot)) if days]

    def _require_unobserved(self, days: Sequence[date]) -> None:
        """Raises ArchiveError when something was written of one of these days, which neither side has."""
        lost = (
            read_frame(self._conn, OBSERVED_DAYS_SQL, {"days": days}, {"day": pl.Date})["day"].to_list() if days else []
        )
        if lost:
            raise ArchiveError(
                f"odds of {format_days(lost)} were stored, and are neither in Postgres nor in the export at {self._cold.address}. Set "
                "PALIMPSEST_EXPORT_URL to the place they were exported to, or bring its files back from a copy."
            )

    def _find_listing_ids(
        self, sr_ids: IdFilter, tournament_keys: Sequence[str] | None, listing_ids: IdFilter
    ) -> IdFilter:
        if sr_ids is None and tournament_keys is None:
            return listing_ids
        return self._names.find_listing_ids(sr_ids, tournament_keys, listing_ids)

    def _add_names(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` (listing_id, line_id) with the names of both. Raises LookupError on what there is no name for."""
        found = self._names.add_market_names(rows).join(
            self._names.read_listings(rows["listing_id"].unique()), on="listing_id", how="left"
        )
        _require_names(found, "market_key", self._names.markets_source, self._names.remedy)
        _require_names(found, "platform", self._names.listings_source, self._names.remedy)
        return found

    def _name_markets(self, books: pl.DataFrame) -> pl.DataFrame:
        """BOOKS_SCHEMA as MARKETS_SCHEMA."""
        found = self._add_names(books).with_columns(last_confirmed_at="answered_at").select(*MARKETS_SCHEMA)
        return found.sort("listing_id", "market_key", "specifier", "outcome")

    def _add_outcomes(self, rows: pl.DataFrame) -> pl.DataFrame:
        """`rows` of named outcomes (place, odds_milli) with outcome_key, ordinal and odds.

        Raises LookupError on an outcome without a name.
        """
        known = self._names.read_outcomes(rows["market_key"].unique())
        # A market that takes one row an outcome has that outcome alone in its arrays, whatever its place in the
        # vocabulary.
        found = (
            rows.with_columns(by_place=pl.when(pl.col("outcome") == "").then("place"))
            .join(
                known.select("market_key", "outcome_key", by_place="ordinal"), on=["market_key", "by_place"], how="left"
            )
            .join(
                known.select("market_key", "ordinal", outcome="outcome_key"), on=["market_key", "outcome"], how="left"
            )
            .with_columns(
                odds=_build_decimal_expr("odds_milli"),
                ordinal=pl.coalesce("by_place", "ordinal"),
                outcome_key=pl.when(pl.col("outcome") == "").then("outcome_key").otherwise("outcome"),
            )
        )
        _require_names(found, "outcome_key", self._names.outcomes_source, self._names.remedy)
        return found


def format_days(days: Sequence[date]) -> str:
    """The first of the days by name, and how many more there are."""
    return ", ".join(map(str, days[:MAX_SHOWN_DAYS])) + (
        f" and {len(days) - MAX_SHOWN_DAYS} days more" if len(days) > MAX_SHOWN_DAYS else ""
    )


def _build_decimal_expr(milli: str) -> pl.Expr:
    return (pl.col(milli) / 1000).round(
        3
    )  # rounded, since Polars multiplies by the inverse: 2800 / 1000 were 2.8000000000000003


def _concat_frames(frames: Sequence[pl.DataFrame], schema: Schema) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=dict(schema)), *frames])


def _sort_ids(ids: Iterable[int] | None) -> list[int] | None:
    return None if ids is None else sorted(set(ids))


def _to_utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"naive datetime {instant!r}: instants carry a time zone here")
    return instant.astimezone(UTC)


def _require_names(frame: pl.DataFrame, name: str, table: str, remedy: str) -> None:
    lacking = frame.filter(pl.col(name).is_null())
    if lacking.height:
        where = lacking.select("listing_id", "market_key", "specifier", "outcome").row(0, named=True)
        raise LookupError(f"{table} has no name for {lacking.height} rows, e.g. {where}: {remedy}")
