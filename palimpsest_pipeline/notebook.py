"""The notebook's door: every mart, every analysts' view and the history of prices as Polars frames, in one line each.

    import palimpsest_pipeline data = palimpsest_pipeline.connect()              # as the settings say; or a Postgres
    URL, or the place of an export data.tables                                       # what can be read
    data.price_comparison(sr_id=61301159, columns=["outcome_key", "platform", "diff_rel"]) data.prices(61301159,
    at="2026-06-26T19:00Z")     # every price as it stood data.changes(61301159)                            # every
    change there was data.export().filter(...).collect()               # the exported days, lazily

Belongs here: where to read, and how a person asks. Does not: what any table holds (`storage`, `sql/views`). Reads only;
writes nowhere.
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
from psycopg import sql

from palimpsest_pipeline.domain.enums import WHOLE_LISTING_KEY
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.instants import Clock, get_day_start
from palimpsest_pipeline.markets import Vocabulary, load_vocabulary
from palimpsest_pipeline.markets.describe_market import UnknownMarket, find_markets
from palimpsest_pipeline.report.spreadsheet import Rows
from palimpsest_pipeline.storage.archive import Archive
from palimpsest_pipeline.storage.catalog.fixtures import read_seen_span
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.db.introspection import Relation, UnknownName, build_select, read_query, read_relations
from palimpsest_pipeline.storage.odds.day_sources import DAY
from palimpsest_pipeline.storage.odds.export_reader import ExportHistoryReader
from palimpsest_pipeline.storage.odds.reader import INSTANT_RESOLUTION, OddsHistoryReader

from .settings import Settings, load_settings

MAX_ROWS: Final = 500_000
"""What is read unasked: a frame of so many rows is some 200 MB."""
MAX_ANSWER_AGE: Final = timedelta(hours=24)
"""A platform whose last answer is older says nothing of what its prices are."""
POSTGRES_URL_PATTERN: Final = re.compile(r"postgres[\w+]*://")
"""A place of any other form is that of an export."""
MARKET_KEY_COLUMN: Final = "market_key"
Ids = int | Iterable[int]


class TooManyRows(PalimpsestError, ValueError):
    """More rows than are read unasked. The message says how to narrow them, and how to read them all."""


def connect(
    place: str | Path | None = None, *, export: str | Path | None = None, settings: Settings | None = None
) -> "Data":
    """Open what the pipeline holds for reading.

    `place`: a Postgres URL (of any role: it sees what the role may read), or the folder or URL of an export, which is
    read without Postgres. None: what the settings of the environment say; the embedded server is started if it does not
    run, and stopped by whoever used it last. `export`: where days that have left Postgres are, if not where the
    settings say. `settings`: instead of those of the environment.

    Raises what says why it cannot be opened: SettingsError, DatabaseUrlError, DatabaseUnreachable, ArchiveError,
    SchemaOutOfDate.
    """
    settings = settings or load_settings()
    with ExitStack() as opening:
        database, clock = None, Clock(settings.clock_offset_s)
        if place is None:
            from palimpsest_pipeline.operate.databases import open_databases, require_schema  # noqa: PLC0415 - half of the pipeline, which a URL or an export does not need

            pipeline = opening.enter_context(open_databases(settings))
            require_schema(pipeline)
            database = pipeline.database
        elif POSTGRES_URL_PATTERN.match(str(place)):
            database = Database(str(place))
            database.connect().close()
        archive = Archive(export or (place if place is not None and database is None else settings.export_root))
        if database is None:
            archive.read_dimensions()  # says at once when there is no export
        return Data(database, archive, clock, opening.pop_all())


class Data:
    """Everything that can be read; made by `connect`. `tables` names the marts and views: each is called for its rows,
    as `data.match_rates()`.

    Frames have the types of the tables: instants aware in UTC, ratios and odds Float64, JSON as text; `write_csv` and
    `write_excel` write them (`Rows`). Also a context manager.
    """

    def __init__(self, database: Database | None, archive: Archive, clock: Clock, opened: ExitStack) -> None:
        self._database, self._archive, self._clock, self._exit_stack = database, archive, clock, opened
        self._is_archive_checked = False
        atexit.register(self.close)

    def close(self) -> None:
        """Done with it: an embedded server that nobody else uses, and that was not to stay, is stopped."""
        atexit.unregister(self.close)
        self._exit_stack.close()

    @property
    def tables(self) -> pl.DataFrame:
        """What can be read by name: name, schema, kind (table, view, function), what it is.

        Of an export alone: nothing, it has `export()`.
        """
        schema = {"name": pl.String, "schema": pl.String, "kind": pl.String, "about": pl.String}
        return pl.DataFrame(
            [(r.name, r.schema, r.kind, r.comment) for r in self._relations.values()], schema=schema, orient="row"
        )

    def sql(self, query: str) -> Rows:
        """The result of any SELECT, as a file of `sql/queries` holds one. Raises what Postgres raises."""
        with self._open_session() as conn:
            return Rows(read_query(conn, sql.SQL(query)))

    def prices(
        self,
        sr_id: Ids,
        at: datetime | str | None = None,
        *,
        max_age: timedelta = MAX_ANSWER_AGE,
        all_listings: bool = False,
    ) -> Rows:
        """Every price of fixtures as it stood at an instant (`storage.odds.reader.PRICES_SCHEMA`), by each platform's
        last answer up to then.

        `at`: aware, or as text with its zone; None: now, of an export alone the end of its last day. A platform whose
        last answer is older than `max_age` has no rows; of an export alone, one that answered last before its first
        day. Raises ArchiveError when a day that is needed is nowhere. Of several listings of one platform the one that
        speaks for it counts, unless `all_listings`.
        """
        instant = self._find_last_instant() if at is None else _parse_instant(at)
        with self._open_history() as layers:
            rows = layers.read_prices_as_of(instant, sr_ids=_list_ids(sr_id), max_age=max_age)
        return Rows(rows if all_listings else rows.filter("is_primary"))

    def changes(
        self, sr_id: Ids, first_day: date | None = None, last_day: date | None = None, *, all_listings: bool = False
    ) -> Rows:
        """Each change of a price or state of fixtures, once (`storage.odds.reader.PRICE_CHANGES_SCHEMA`), on UTC days
        in Postgres and in the export alike.

        None: from the day the fixture was first seen, to the last; of an export alone all of its days. `all_listings`
        as in `prices`. Raises ArchiveError when one of the days is nowhere.
        """
        ids = _list_ids(sr_id)
        if first_day is None or last_day is None:
            first, last = self._find_days(ids)
            first_day, last_day = first_day or first, last_day or last
        with self._open_history() as layers:
            rows = layers.read_price_changes(first_day, last_day, sr_ids=ids)
        return Rows(rows if all_listings else rows.filter("is_primary"))

    def export(
        self, sr_id: Ids | None = None, first_day: date | None = None, last_day: date | None = None
    ) -> pl.LazyFrame:
        """The exported days, lazily (`storage.archive.named_export.NAMED_PRICES_SCHEMA`): one row an outcome and
        change, with names. Of some fixtures, or everything.

        Of every listing: `filter("is_primary")` leaves the one that speaks for its platform.
        """
        return self._archive.prices(None if sr_id is None else _list_ids(sr_id), first_day, last_day)

    def __getitem__(self, name: str) -> "Readable":
        """A mart or view by its name, or by schema and name: `data["mart.open_close"]` where a view has the same."""
        found = self._relations.get(name) or next((r for r in self._relations.values() if r.full_name == name), None)
        if found is None:
            self._raise_unknown_name(name, KeyError)
        return Readable(found, self)

    def __getattr__(self, name: str) -> "Readable":
        if name.startswith("_"):  # a shell that looks for ways to show it; never a table
            raise AttributeError(name)
        found = self._relations.get(name)
        if found is None:
            self._raise_unknown_name(name, AttributeError)
        return Readable(found, self)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *(name for name in self._relations if "." not in name)]

    def __repr__(self) -> str:
        return f"Data({self._database or self._archive.address!r}): .tables names what can be read"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def _relations(self) -> dict[str, Relation]:
        """By name; a table that a view hides by schema and name."""
        if self._database is None:
            return {}
        found: dict[str, Relation] = {}
        with self._open_session() as conn:
            for relation in read_relations(conn):
                found[relation.full_name if relation.name in found else relation.name] = relation
        return found

    @contextmanager
    def _open_session(self) -> Iterator[psycopg.Connection[Any]]:
        """A connection that cannot write, with names as the analysts' role has them."""
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
                self._archive.require_same_database(conn)  # names of another database's numbers would be wrong
                self._is_archive_checked = True
            yield OddsHistoryReader(conn, self._archive)

    @contextmanager
    def _open_history_session(self) -> Iterator[psycopg.Connection[Any]]:
        """A session for what lies behind marts and views. Raises PermissionError for a role that sees these only."""
        try:
            with self._open_session() as conn:
                yield conn
        except psycopg.errors.InsufficientPrivilege as error:
            raise PermissionError(
                f"this role may not read the history itself ({str(error).splitlines()[0]}): ask the views (prices_as_of, price_changes), open "
                "the export alone with connect(PLACE), or connect as the owner of the tables"
            ) from error

    def _find_last_instant(self) -> datetime:
        return (
            self._clock.now()
            if self._database is not None
            else get_day_start(max(self._archive.read_catalogue()) + DAY) - INSTANT_RESOLUTION
        )

    def _find_days(self, ids: Sequence[int]) -> tuple[date, date]:
        """The first and the last UTC day on which these fixtures may have been answered."""
        if self._database is None:
            days = self._archive.read_catalogue()
            return min(days), max(days)
        with self._open_history_session() as conn:
            seen = read_seen_span(conn, ids)
        if seen is None:
            raise LookupError(
                f"no fixture with SportRadar id {', '.join(map(str, ids))} is known: check the id, or run a full cycle first"
            )
        return seen[0].date(), seen[1].date()

    def _raise_unknown_name(self, name: str, kind: type[Exception]) -> NoReturn:
        if self._database is None:
            raise kind(f"{name}: {self._explain_no_tables()}")
        near = get_close_matches(name, self._relations, n=3, cutoff=0.5)
        raise kind(
            f"no table or view {name!r}"
            + (f"; nearest: {', '.join(near)}" if near else "")
            + ". `tables` names them all"
        )

    def _explain_no_tables(self) -> str:
        return f"the export at {self._archive.address} is read without Postgres: it has prices(), changes() and export(), no tables"


class Readable:
    """A mart, a view or a function, to be called for its rows. What it is and its columns: its repr, and `columns`."""

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
        **given: Any,
    ) -> Rows:
        """Its rows, all of them unless they are narrowed; Postgres does the narrowing. More than MOST_ROWS are read
        only with `whole`.

        `where`: a condition in SQL. `columns`: these only. `limit`: the first so many. Further: arguments of a
        function, and columns with the value
        that their rows shall have, or a list of values: `platform="bet9ja"`, `sr_id=[1, 2]`. Raises TooManyRows,
        UnknownName (of a `market_key` too that neither the vocabulary nor these rows have), and what Postgres raises.
        """
        bounded = limit is None and not whole
        with self._data._open_session() as conn:
            self._refuse_unknown_markets(conn, given)
            rows = read_query(
                conn, build_select(self._relation, given, where, columns, MAX_ROWS + 1 if bounded else limit)
            )
        if bounded and rows.height > MAX_ROWS:
            raise TooManyRows(
                f"{self._relation.full_name} has more than {MAX_ROWS:,} rows here: narrow them (where=..., sr_id=[...]), take the first "
                "(limit=...), or read them all with whole=True"
            )
        return Rows(rows)

    def _refuse_unknown_markets(self, conn: psycopg.Connection[Any], given: dict[str, Any]) -> None:
        """Raise UnknownName for a market key that does not exist: an empty result would read as "nobody offers it".

        A key that has left the vocabulary stays known while the relation has rows of it.
        """
        asked = given.get(MARKET_KEY_COLUMN)
        keys = [asked] if isinstance(asked, str) else list(asked) if isinstance(asked, Iterable) else []
        known = load_vocabulary()
        for key in keys:
            if key in (None, WHOLE_LISTING_KEY) or key in known.markets[MARKET_KEY_COLUMN]:
                continue
            if read_query(conn, build_select(self._relation, {**given, MARKET_KEY_COLUMN: key}, limit=1)).height == 0:
                raise UnknownName(f"market_key={key!r}: {_suggest_markets(str(key), known)}")

    @property
    def columns(self) -> pl.DataFrame:
        """Its columns: name, type in Postgres, meaning."""
        schema = {"column": pl.String, "type": pl.String, "about": pl.String}
        return pl.DataFrame(
            [(name, *told) for name, told in self._relation.columns.items()], schema=schema, orient="row"
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


def _suggest_markets(asked: str, known: Vocabulary) -> str:
    try:
        return f"write {', '.join(repr(market.market_key) for market in find_markets(asked, known))}"
    except UnknownMarket as unknown:
        return str(unknown)


def _list_ids(sr_id: Ids) -> list[int]:
    return [sr_id] if isinstance(sr_id, int) else list(sr_id)


def _parse_instant(at: datetime | str) -> datetime:
    found = datetime.fromisoformat(at) if isinstance(at, str) else at
    if found.tzinfo is None:
        raise ValueError(f"{at!r} says no time zone: write 2026-06-26T19:00Z, or give an aware datetime")
    return found.astimezone(UTC)


__all__ = ["Data", "Readable", "Rows", "TooManyRows", "UnknownName", "connect"]
