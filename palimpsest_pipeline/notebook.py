"""The reading interface for notebooks: marts, views for analysts and price history as Polars frames.

    import palimpsest_pipeline

    data = palimpsest_pipeline.connect()              # or connect(a Postgres URL), connect(the place of an export)
    data.tables                                       # the names that can be read
    data.price_comparison(sr_id=61301159, columns=["outcome_key", "platform", "diff_rel"])
    data.prices(61301159, at="2026-06-26T19:00Z")     # every price at that instant
    data.changes(61301159)                            # every price change
    data.fair_probabilities(data.prices(61301159))    # the same prices without the margin, by three methods
    data.judge_prices("bets.csv")                     # closing-line value of prices of your own
    data.judge_prices_at("2026-06-26T12:00Z", 61301159)  # the same of home's prices at that instant
    data.export().filter(...).collect()               # the exported days, lazily

This module only reads.
"""

import atexit
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, date, datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NoReturn, Self

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import WHOLE_LISTING_KEY
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.instants import Clock, get_day_start
from palimpsest_pipeline.markets.describe_market import suggest_markets
from palimpsest_pipeline.report.spreadsheets import Rows
from palimpsest_pipeline.storage.archive import Archive
from palimpsest_pipeline.storage.catalog.fixtures import read_seen_span
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.db.copy_frames import read_frame
from palimpsest_pipeline.storage.db.introspection import Relation, UnknownName, build_select, read_relations
from palimpsest_pipeline.storage.odds.day_sources import DAY
from palimpsest_pipeline.storage.odds.export_reader import ExportHistoryReader
from palimpsest_pipeline.storage.odds.history_reader import INSTANT_RESOLUTION, OddsHistoryReader

from .settings import Settings, load_settings

MAX_ROWS: Final = 500_000
"""Maximum number of rows read by default. A frame of this size takes some 200 MB."""
_MAX_ANSWER_AGE: Final = timedelta(hours=24)
"""Maximum age of a platform's last answer in `Data.prices`; with an older one it has no rows."""
POSTGRES_URL_PATTERN: Final = re.compile(r"postgres[\w+]*://")
"""The start of a Postgres URL. Any other text is the folder or URL of an export."""
MARKET_KEY_COLUMN: Final = "market_key"
Ids = int | Iterable[int]


class TooManyRows(PalimpsestError, ValueError):
    """The result has more rows than are read by default. The message says how to limit or read them all."""


def open_data(
    place: str | Path | None = None, *, export: str | Path | None = None, settings: Settings | None = None
) -> "Data":
    """Open the pipeline's data for reading.

    `place` is a Postgres URL of any role, which sees the tables that the role may read; or the folder or URL of an
    export, which is read without Postgres; or None for the database of the settings. An embedded server is started if
    it does not run, and stopped by the last command or process that uses it.

    `export` is the folder or URL of the exported days that are not in Postgres any more; None means the one in the
    settings. `settings` are used instead of those of the environment.

    Raises SettingsError, DatabaseUrlError, DatabaseUnreachable, ArchiveError or SchemaOutOfDate; each gives the reason.
    """
    settings = settings or load_settings()
    with ExitStack() as exit_stack:
        database, clock = None, Clock(settings.clock_offset_s)
        if place is None:
            # Imported here because it loads half of the package, which a Postgres URL or an export does not need.
            from palimpsest_pipeline.operate.databases import open_databases, require_schema  # noqa: PLC0415

            pipeline = exit_stack.enter_context(open_databases(settings))
            require_schema(pipeline)
            database = pipeline.database
        elif POSTGRES_URL_PATTERN.match(str(place)):
            database = Database(str(place))
            database.connect().close()
        archive = Archive(export or (place if place is not None and database is None else settings.export_root))
        if database is None:
            archive.read_dimensions()  # raises at once when there is no export
        return Data(database, archive, clock, exit_stack.pop_all())


class Data:
    """The data that `connect` opened. Each mart and view is a method, e.g. `data.match_rates()`.

    `tables` lists their names. Columns have the types of the tables: instants are aware and in UTC, ratios and odds are
    Float64, JSON is text. `Rows.write_csv` and `Rows.write_excel` write results to files. An instance is also a context
    manager.
    """

    def __init__(self, database: Database | None, archive: Archive, clock: Clock, exit_stack: ExitStack) -> None:
        self._database, self._archive, self._clock, self._exit_stack = database, archive, clock, exit_stack
        self._is_archive_checked = False
        atexit.register(self.close)

    def close(self) -> None:
        """Close all connections.

        The embedded server stops if no other process uses it, unless it was started to keep running.
        """
        atexit.unregister(self.close)
        self._exit_stack.close()

    @property
    def tables(self) -> pl.DataFrame:
        """The relations that can be read by name: name, schema, kind (table, view, function) and description.

        It is empty if only an export was opened; then use `export()`.
        """
        schema = {"name": pl.String, "schema": pl.String, "kind": pl.String, "about": pl.String}
        return pl.DataFrame(
            [(r.name, r.schema, r.kind, r.comment) for r in self._relations.values()], schema=schema, orient="row"
        )

    def sql(self, query: str) -> Rows:
        """Return the rows of any SELECT, such as a query in `sql/queries`. Raises the errors of Postgres."""
        with self._open_session() as conn:
            return Rows(read_frame(conn, query))

    def prices(
        self,
        sr_id: Ids,
        at: datetime | str | None = None,
        *,
        max_age: timedelta = _MAX_ANSWER_AGE,
        all_listings: bool = False,
    ) -> Rows:
        """Return every price of some fixtures at an instant.

        The rows have the columns `storage.odds.history_reader.PRICES_SCHEMA`, and come from each platform's last answer
        up to the instant. `at` is an aware datetime, or text with a time zone. None means now, or, if only an export
        was opened, the end of its last day. A platform has no rows when its last answer is older than `max_age`, or
        older than the first day of such an export. Of several listings of one platform only the primary one is
        returned, unless `all_listings`. Raises ArchiveError when a needed day is in neither Postgres nor the export.
        """
        instant = self._find_last_instant() if at is None else _parse_instant(at)
        with self._open_history() as history:
            rows = history.read_prices_as_of(instant, sr_ids=_list_ids(sr_id), max_age=max_age)
        return Rows(rows if all_listings else rows.filter("is_primary"))

    def changes(
        self, sr_id: Ids, first_day: date | None = None, last_day: date | None = None, *, all_listings: bool = False
    ) -> Rows:
        """Return each change of a price or state of some fixtures once.

        The rows have the columns `storage.odds.history_reader.PRICE_CHANGES_SCHEMA`. The days are UTC days, in Postgres
        or in the export. `first_day` None means the day on which the fixture was first seen, `last_day` None the last
        day; if only an export was opened, all of its days. `all_listings` as in `prices`. Raises ArchiveError when a
        needed day is in neither Postgres nor the export.
        """
        ids = _list_ids(sr_id)
        if first_day is None or last_day is None:
            first, last = self._find_days(ids)
            first_day, last_day = first_day or first, last_day or last
        with self._open_history() as history:
            rows = history.read_price_changes(first_day, last_day, sr_ids=ids)
        return Rows(rows if all_listings else rows.filter("is_primary"))

    def fair_probabilities(self, prices: pl.DataFrame, book_keys: Sequence[str] = ("platform", "sr_id")) -> Rows:
        """Return `prices` with fair_multiplicative, fair_power and fair_shin.

        `prices` are the rows of `prices` or `prices_as_of`, or any rows per outcome with market_key, specifier,
        outcome_key and odds; an outcome that is not is_active counts as suspended. `book_keys` are the columns that
        tell the books apart; with `all_listings` it is ["listing_id"]. The probabilities are null for a market without
        a margin: not every outcome can be backed, or the number of winners is not known.

        Raises ValueError when a column is missing, or an outcome of a market appears twice in a book.
        """
        # Imported here because most notebooks need neither the vocabulary nor the pipeline, which is large.
        from palimpsest_pipeline.pipeline import judged_prices  # noqa: PLC0415
        from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary  # noqa: PLC0415

        return Rows(judged_prices.add_fair_probabilities_per_book(prices, book_keys, load_installed_vocabulary()))

    def judge_prices(self, prices: pl.DataFrame | str | Path) -> Rows:
        """Return the closing-line value of each price against every platform's exact close.

        `prices` is a CSV file or a frame: sr_id, market_key, outcome_key, odds, and optionally specifier and taken_at.
        The rows have the columns `metrics.prices.closing_line_value.CLOSING_LINE_VALUES_SCHEMA`; `status` tells why a
        price has no value. For prices of home at an instant there is `judge_prices_at`.

        Raises PriceListError, which names line and field of each bad value.
        """
        from palimpsest_pipeline.pipeline import judged_prices  # noqa: PLC0415
        from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary  # noqa: PLC0415

        vocabulary = load_installed_vocabulary()
        checked_prices = (
            judged_prices.check_price_list(prices, vocabulary)
            if isinstance(prices, pl.DataFrame)
            else judged_prices.read_price_list(Path(prices), vocabulary)
        )
        with self._open_session() as conn:
            return Rows(judged_prices.judge_prices(conn, checked_prices, self._clock.now()))

    def judge_prices_at(self, at: datetime | str, sr_id: Ids, seller: str | None = None) -> Rows:
        """Return the closing-line value of the prices that a platform offered at an instant.

        `seller` is the platform, None means home. The rows are those of `judge_prices` for the prices that could be
        backed at `at`, of the platform's last answer up to then that is at most MAX_ANSWER_AGE old. The day may be in
        Postgres or in the export. (The SQL function `closing_line_value` reads only answers of the same UTC day, in
        Postgres.) Raises the errors of `prices`.
        """
        from palimpsest_pipeline.pipeline import judged_prices  # noqa: PLC0415

        instant = _parse_instant(at)
        prices = self.prices(sr_id, instant)
        with self._open_session() as conn:
            if seller is None:
                [seller] = conn.execute("select palimpsest.home_platform()").fetchone() or (None,)
            offered_prices = judged_prices.list_offered_prices(prices, instant, str(seller))
            return Rows(judged_prices.judge_prices(conn, offered_prices, self._clock.now()))

    def export(
        self, sr_id: Ids | None = None, first_day: date | None = None, last_day: date | None = None
    ) -> pl.LazyFrame:
        """Return the exported days as a LazyFrame with `storage.archive.day_reader.NAMED_PRICES_SCHEMA`.

        Each row is one outcome and change, with names. Without `sr_id` the frame has all fixtures. It has all listings;
        `filter("is_primary")` keeps only the listing that represents its platform.
        """
        return self._archive.prices(None if sr_id is None else _list_ids(sr_id), first_day, last_day)

    def __getitem__(self, name: str) -> "Readable":
        """Return a mart or view by its name, or by schema and name.

        Schema and name are needed for a mart if a view has the same name: `data["mart.open_close"]`.
        """
        relation = self._relations.get(name) or next((r for r in self._relations.values() if r.full_name == name), None)
        if relation is None:
            self._raise_unknown_name(name, KeyError)
        return Readable(relation, self)

    def __getattr__(self, name: str) -> "Readable":
        if name.startswith("_"):  # notebooks look for display methods such as _repr_html_, and no table has such a name
            raise AttributeError(name)
        relation = self._relations.get(name)
        if relation is None:
            self._raise_unknown_name(name, AttributeError)
        return Readable(relation, self)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self._relations if "." not in name)]

    def __repr__(self) -> str:
        return f"Data({self._database or self._archive.address!r}): .tables lists what can be read"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _relations(self) -> dict[str, Relation]:
        """The relations by name; a table by schema and name if a view has the same name."""
        if self._database is None:
            return {}
        relations: dict[str, Relation] = {}
        with self._open_session() as conn:
            for relation in read_relations(conn):
                relations[relation.full_name if relation.name in relations else relation.name] = relation
        return relations

    @contextmanager
    def _open_session(self) -> Iterator[psycopg.Connection[Any]]:
        """Open a read-only transaction with the search path of the analysts' role."""
        if self._database is None:
            raise LookupError(self._explain_no_tables())
        with self._database.connect() as conn:
            conn.execute("set transaction read only")
            conn.execute("set local search_path = palimpsest, mart")
            yield conn

    @contextmanager
    def _open_history(self) -> Iterator[OddsHistoryReader]:
        if self._database is None:
            yield ExportHistoryReader(self._archive)
            return
        with self._open_history_session() as conn:
            if not self._is_archive_checked:
                # The archive stores numeric ids, and names from another database would not belong to them.
                self._archive.require_same_database(conn)
                self._is_archive_checked = True
            yield OddsHistoryReader(conn, self._archive)

    @contextmanager
    def _open_history_session(self) -> Iterator[psycopg.Connection[Any]]:
        """Open a session for the tables behind marts and views.

        Raises PermissionError for a role that may read only the marts and views.
        """
        try:
            with self._open_session() as conn:
                yield conn
        except psycopg.errors.InsufficientPrivilege as error:
            raise PermissionError(
                f"this role may not read the history itself ({str(error).splitlines()[0]}): read the views "
                "(prices_as_of, price_changes), open the export alone with connect(PLACE), or connect as the owner "
                "of the tables"
            ) from error

    def _find_last_instant(self) -> datetime:
        return (
            self._clock.now()
            if self._database is not None
            else get_day_start(max(self._archive.read_catalogue()) + DAY) - INSTANT_RESOLUTION
        )

    def _find_days(self, ids: Sequence[int]) -> tuple[date, date]:
        """Return the first and the last UTC day on which platforms may have answered about these fixtures."""
        if self._database is None:
            days = self._archive.read_catalogue()
            return min(days), max(days)
        with self._open_history_session() as conn:
            first_seen_at, last_seen_at = read_seen_span(conn, ids)
        return first_seen_at.date(), last_seen_at.date()

    def _raise_unknown_name(self, name: str, kind: type[Exception]) -> NoReturn:
        if self._database is None:
            raise kind(f"{name}: {self._explain_no_tables()}")
        similar_names = get_close_matches(name, self._relations, n=3, cutoff=0.5)
        raise kind(
            f"no table or view {name!r}"
            + (f"; nearest: {', '.join(similar_names)}" if similar_names else "")
            + ". `tables` lists them all"
        )

    def _explain_no_tables(self) -> str:
        return (
            f"the export at {self._archive.address} is read without Postgres: it has prices(), changes() and "
            "export(), no tables"
        )


class Readable:
    """A mart, a view or a function. Call it for its rows; its repr and `columns` describe it."""

    def __init__(self, relation: Relation, data: Data) -> None:
        self._relation, self._data = relation, data
        self.__doc__ = self._describe()

    def __call__(
        self,
        where: str | None = None,
        *,
        columns: Sequence[str] | None = None,
        limit: int | None = None,
        whole: bool = False,
        **filters: Any,
    ) -> Rows:
        """Return the rows; Postgres does the filtering.

        `where` is a condition in SQL. `columns` limits the columns, `limit` the number of rows. Other keyword arguments
        are arguments of a function, or columns with the value or list of values that their rows must have:
        `platform="bet9ja"`, `sr_id=[1, 2]`.

        More than MAX_ROWS rows are read only with `whole=True` or a `limit`. Raises TooManyRows; UnknownName for an
        unknown column, and for a `market_key` that neither the vocabulary nor these rows have; and the errors of
        Postgres.
        """
        bounded = limit is None and not whole
        with self._data._open_session() as conn:
            self._refuse_unknown_markets(conn, filters)
            rows = read_frame(
                conn, build_select(self._relation, filters, where, columns, MAX_ROWS + 1 if bounded else limit)
            )
        if bounded and rows.height > MAX_ROWS:
            raise TooManyRows(
                f"{self._relation.full_name} has more than {MAX_ROWS:,} rows here: narrow them (where=..., "
                "sr_id=[...]), take the first rows (limit=...), or read them all with whole=True"
            )
        return Rows(rows)

    def _refuse_unknown_markets(self, conn: psycopg.Connection[Any], filters: dict[str, Any]) -> None:
        """Raise UnknownName for a market key that does not exist.

        An empty result would suggest that no platform offers the market. A key that was removed from the vocabulary
        counts as known while the relation has rows with it.
        """
        wanted_keys = filters.get(MARKET_KEY_COLUMN)
        keys = (
            [wanted_keys]
            if isinstance(wanted_keys, str)
            else list(wanted_keys)
            if isinstance(wanted_keys, Iterable)
            else []
        )
        # Imported here because most notebooks need no market's name, and the pipeline is large.
        from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary  # noqa: PLC0415

        vocabulary = load_installed_vocabulary()
        for key in keys:
            if key in (None, WHOLE_LISTING_KEY) or key in vocabulary.markets[MARKET_KEY_COLUMN]:
                continue
            if read_frame(conn, build_select(self._relation, {**filters, MARKET_KEY_COLUMN: key}, limit=1)).height == 0:
                raise UnknownName(f"market_key={key!r}: {suggest_markets(str(key), vocabulary)}")

    @property
    def columns(self) -> pl.DataFrame:
        """The columns: name, type in Postgres, and description."""
        schema = {"column": pl.String, "type": pl.String, "about": pl.String}
        return pl.DataFrame(
            [(name, *type_and_comment) for name, type_and_comment in self._relation.columns.items()],
            schema=schema,
            orient="row",
        )

    def __repr__(self) -> str:
        return self._describe()

    def _describe(self) -> str:
        r = self._relation
        lines = [
            f"{r.full_name}({', '.join(r.arguments)})" if r.kind == "function" else f"{r.full_name} ({r.kind})",
            r.comment,
        ]
        return "\n".join(
            [*lines, *(f"  {name}: {kind}  {about}".rstrip() for name, (kind, about) in r.columns.items())]
        )


def _list_ids(sr_id: Ids) -> list[int]:
    return [sr_id] if isinstance(sr_id, int) else list(sr_id)


def _parse_instant(at: datetime | str) -> datetime:
    instant = datetime.fromisoformat(at) if isinstance(at, str) else at
    if instant.tzinfo is None:
        raise ValueError(f"{at!r} has no time zone: write 2026-06-26T19:00Z, or give an aware datetime")
    return instant.astimezone(UTC)


__all__ = ["Data", "Readable", "Rows", "TooManyRows", "UnknownName", "open_data"]
