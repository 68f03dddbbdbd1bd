"""Read the whole odds history: recent days from Postgres and older days from the archive.

A day is read from Postgres when Postgres has rows of it, otherwise from the archive. A day that is in neither must not
have been observed. "As of" an instant means: using all answers with `observed_at` up to the instant. Such a query needs
only one UTC day per listing, because the first answer of each day contains the listing's whole book.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import Schema

from ..archive import Archive, ArchiveError
from ..db.copy_frames import read_frame
from . import partitions
from .change_rows import CAPTURE_SCHEMA, CHANGE_SCHEMA
from .day_sources import ANSWER_INSTANTS_SCHEMA, BOOKS_SCHEMA, DAY, ArchivedDays, DaySource, PostgresDays
from .history_names import HistoryNames, IdFilter, PostgresNames
from .price_changes import derive_outcome_changes, explode_outcomes

# Cycles in the last hour of a day are excluded, because all their answers may belong to the next day. Cycles of
# recorded answers are excluded, because their answers may belong to any day.
OBSERVED_DAYS_SQL: Final = """
select distinct (y.partition_hour at time zone 'UTC')::date as day
from core.cycles y
join core.cycle_products p using (cycle_id)
where (y.partition_hour at time zone 'UTC')::date = any(%(days)s::date[])
    and extract(hour from y.partition_hour at time zone 'UTC') < 23
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
"""Columns of `read_markets_as_of`: one row per market.

`sr_id` is null for a listing without a known fixture. `outcome` is '' except for markets with one row per outcome.
`odds_milli` is an array of decimal odds x 1000 by outcome ordinal, null without a price. Bit i-1 of `off_mask` is set
when no bets on outcome i are accepted. `observed_at` is the first answer of the UTC day with this state and these
prices. `last_confirmed_at` is the listing's last answer up to the instant.
"""

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
"""Columns of `read_prices_as_of`: one row per outcome.

`ordinal` is the outcome's position in the vocabulary. It is null for an open outcome (a player), and `outcome_key` is
then the platform's own key. `odds` is decimal odds, null without a price. `is_active` is true when bets on the outcome
were accepted.
"""

PRICE_CHANGES_SCHEMA: Final[Schema] = {
    **{name: kind for name, kind in PRICES_SCHEMA.items() if name not in {"observed_at", "last_confirmed_at"}},
    "observed_at": INSTANT,
    "previous_odds": pl.Float64,
}
"""Columns of `read_price_changes`: one row for each change of an outcome.

`observed_at` is the answer with the change. `previous_odds` is null in an outcome's first row, and after a time without
a price.
"""

MAX_SHOWN_DAYS: Final = 3
INSTANT_RESOLUTION: Final = timedelta(microseconds=1)
"""The smallest difference between two instants."""


class OddsHistoryReader:
    """Read the odds history of the days in Postgres and in the archive.

    `conn` must have the isolation level READ COMMITTED. A day that is in Postgres stays there until the query, or the
    caller's transaction, has ended. Instants must have a time zone, otherwise ValueError is raised. A day that cannot
    be read raises an error and never gives an empty result.
    """

    def __init__(self, conn: psycopg.Connection[Any], archive: Archive) -> None:
        self._conn = conn
        self._hot = PostgresDays(conn)
        self._cold = ArchivedDays(archive)
        self._names: HistoryNames = PostgresNames(conn)

    def read_changes(
        self, listing_ids: Iterable[int] | None, first_day: date, last_day: date, line_ids: Iterable[int] | None = None
    ) -> pl.DataFrame:
        """Return history rows (CHANGE_SCHEMA) of UTC days, both included.

        The rows are sorted by listing, line and instant. None selects all listings, or all lines.
        """
        ids, lines = _sort_ids(listing_ids), _sort_ids(line_ids)
        with self._split_by_source(first_day, last_day) as sides:
            frames = [side.read_changes(days, ids, lines) for side, days in sides]
        return _concat_frames(frames, CHANGE_SCHEMA).sort("listing_id", "line_id", "observed_at")

    def read_captures(self, listing_ids: Iterable[int] | None, first_day: date, last_day: date) -> pl.DataFrame:
        """Return one row per stored answer (CAPTURE_SCHEMA), sorted by listing and instant.

        `first_day` and `last_day` (UTC) are included. None selects all listings.
        """
        ids = _sort_ids(listing_ids)
        with self._split_by_source(first_day, last_day) as sides:
            frames = [side.read_captures(days, ids) for side, days in sides]
        return _concat_frames(frames, CAPTURE_SCHEMA).sort("listing_id", "observed_at")

    def read_markets_as_of(
        self,
        instant: datetime,
        *,
        sr_ids: Iterable[int] | None = None,
        tournament_keys: Iterable[str] | None = None,
        listing_ids: Iterable[int] | None = None,
        max_age: timedelta | None = None,
    ) -> pl.DataFrame:
        """Return every market as of `instant` (MARKETS_SCHEMA), by listing, market, specifier and outcome.

        Filters are combined with AND; without a filter all listings are returned.

        Without `max_age`, a listing's markets come from its last answer up to `instant` on the same UTC day. A listing
        without such an answer has no rows. With `max_age`, the markets come from the last answer that is at most
        `max_age` older than `instant`, on any day. Markets that disappeared earlier on the day of that answer are
        included as withdrawn.
        """
        instant = _to_utc(instant)
        earliest = self._find_earliest(instant, max_age)
        listing_filter = self._find_listing_ids(
            _sort_ids(sr_ids), None if tournament_keys is None else sorted(set(tournament_keys)), _sort_ids(listing_ids)
        )
        answered = pl.DataFrame(schema=ANSWER_INSTANTS_SCHEMA)
        books: list[pl.DataFrame] = []
        with self._split_by_source(earliest.date(), instant.date()) as sides:
            for day, side in sorted(
                ((day, side) for side, days in sides for day in days), key=lambda source: source[0], reverse=True
            ):
                until = min(instant, get_day_start(day + DAY) - INSTANT_RESOLUTION)
                answers = side.read_last_answers(max(earliest, get_day_start(day)), until, listing_filter).join(
                    answered, on="listing_id", how="anti"
                )
                books.append(side.read_books(day, answers))
                answered = pl.concat([answered, answers])
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
        """Return every outcome as of `instant` (PRICES_SCHEMA), in the vocabulary's order.

        The arguments are those of `read_markets_as_of`.
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
        """Return each change of a price or state on UTC days, both included (PRICE_CHANGES_SCHEMA).

        Each change is returned once. Rows are sorted by listing, market, specifier, outcome and instant. Filters are
        combined with AND; without a filter all listings are returned. A price that existed before the first day starts
        with its first answer on these days.
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

    def _find_earliest(self, instant: datetime, max_age: timedelta | None) -> datetime:
        """Return the earliest `observed_at` that an answer may have to count for `instant`."""
        return get_day_start(instant.date()) if max_age is None else instant - max_age

    @contextmanager
    def _split_by_source(self, first_day: date, last_day: date) -> Iterator[list[tuple[DaySource, list[date]]]]:
        """Yield each source with its sorted days; these days stay in their source during the block.

        A day that is in neither source is left out. Raises ArchiveError when such a day was observed.
        """
        days_asked = [first_day + n * DAY for n in range((last_day - first_day).days + 1)]
        with self._conn.transaction():
            # The lock comes first: afterwards no day is dropped, and a day that was dropped before is in the archive.
            partitions.hold_partitions(self._conn)
            hot = self._hot.list_days(days_asked)
            cold = (
                self._cold.list_days([day for day in days_asked if day not in hot])
                if len(hot) < len(days_asked)
                else []
            )
            self._require_unobserved([day for day in days_asked if day not in hot and day not in cold])
            yield [(side, days) for side, days in ((self._cold, cold), (self._hot, hot)) if days]

    def _require_unobserved(self, days: Sequence[date]) -> None:
        """Raise ArchiveError when rows were written for one of these days, which neither source has."""
        lost = read_frame(self._conn, OBSERVED_DAYS_SQL, {"days": days})["day"].to_list() if days else []
        if lost:
            raise ArchiveError(
                f"odds of {format_days(lost)} were stored, but they are neither in Postgres nor in the export at "
                f"{self._cold.address}. Set PALIMPSEST_EXPORT_URL to the place they were exported to, or restore the "
                "export's files from a copy."
            )

    def _find_listing_ids(
        self, sr_ids: IdFilter, tournament_keys: Sequence[str] | None, listing_ids: IdFilter
    ) -> IdFilter:
        if sr_ids is None and tournament_keys is None:
            return listing_ids
        return self._names.find_listing_ids(sr_ids, tournament_keys, listing_ids)

    def _add_names(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add the names of listing and line to `rows` (listing_id, line_id).

        Raises LookupError when a name does not exist.
        """
        named_rows = self._names.add_market_names(rows).join(
            self._names.read_listings(rows["listing_id"].unique()), on="listing_id", how="left"
        )
        _require_names(named_rows, "market_key", self._names.markets_source, self._names.remedy)
        _require_names(named_rows, "platform", self._names.listings_source, self._names.remedy)
        return named_rows

    def _name_markets(self, books: pl.DataFrame) -> pl.DataFrame:
        """Convert rows of BOOKS_SCHEMA to MARKETS_SCHEMA."""
        markets = self._add_names(books).with_columns(last_confirmed_at="answered_at").select(*MARKETS_SCHEMA)
        return markets.sort("listing_id", "market_key", "specifier", "outcome")

    def _add_outcomes(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Add outcome_key, ordinal and odds to `rows` (place, odds_milli), which have names.

        Raises LookupError for an outcome without a name.
        """
        vocabulary = self._names.read_outcomes(rows["market_key"].unique())
        # A market with one row per outcome has only that outcome in its arrays, so `place` is not the ordinal of the
        # vocabulary.
        named_rows = (
            rows.with_columns(by_place=pl.when(pl.col("outcome") == "").then("place"))
            .join(
                vocabulary.select("market_key", "outcome_key", by_place="ordinal"),
                on=["market_key", "by_place"],
                how="left",
            )
            .join(
                vocabulary.select("market_key", "ordinal", outcome="outcome_key"),
                on=["market_key", "outcome"],
                how="left",
            )
            .with_columns(
                odds=_build_decimal_expr("odds_milli"),
                ordinal=pl.coalesce("by_place", "ordinal"),
                outcome_key=pl.when(pl.col("outcome") == "").then("outcome_key").otherwise("outcome"),
            )
        )
        _require_names(named_rows, "outcome_key", self._names.outcomes_source, self._names.remedy)
        return named_rows


def format_days(days: Sequence[date]) -> str:
    """Return the first few days as text, and the number of further days."""
    return ", ".join(map(str, days[:MAX_SHOWN_DAYS])) + (
        f" and {len(days) - MAX_SHOWN_DAYS} days more" if len(days) > MAX_SHOWN_DAYS else ""
    )


def _build_decimal_expr(milli: str) -> pl.Expr:
    # Polars multiplies by the inverse: without rounding 2800 / 1000 is 2.8000000000000003.
    return (pl.col(milli) / 1000).round(3)


def _concat_frames(frames: Sequence[pl.DataFrame], schema: Schema) -> pl.DataFrame:
    return pl.concat([pl.DataFrame(schema=dict(schema)), *frames])


def _sort_ids(ids: Iterable[int] | None) -> list[int] | None:
    return None if ids is None else sorted(set(ids))


def _to_utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"naive datetime {instant!r}: give an instant with a time zone")
    return instant.astimezone(UTC)


def _require_names(frame: pl.DataFrame, name: str, table: str, remedy: str) -> None:
    unnamed = frame.filter(pl.col(name).is_null())
    if unnamed.height:
        example = unnamed.select("listing_id", "market_key", "specifier", "outcome").row(0, named=True)
        raise LookupError(f"{table} has no name for {unnamed.height} rows, e.g. {example}: {remedy}")
