"""What the life of a kickoff date's fixtures rests on, the tables that hold it, and which dates are to be derived anew.
Callers commit.

Belongs here: reading fixtures, looks and kickoffs of a UTC date of kickoff, replacing the date's rows, marking dates
dirty. Does not: any rule of what a life is (`metrics`), where the days of the odds history lie (`reader`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Protocol

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.enums import LookResult, Platform
from palimpsest_pipeline.domain.schemas import INSTANT, LISTING_LOOKS

from ..db.copy_frames import Schema, copy_rows, copy_to_temp_table, quote_identifier, read_frame
from ..derivation.dirty_fixtures import AFFECTED_FIXTURES_SQL
from ..odds.market_lines import name_lines, read_lines_of_markets
from ..tables import metadata
from .cycle_marts import get_frame_schema

LIFECYCLE_TABLES: Final = (
    "mart.availability_interval",
    "mart.open_close",
    "mart.listing_lead_time",
    "mart.market_margin",
    "mart.margin_ttk_bucket",
    "mart.gap_count",
)
"""Tables that are replaced by kickoff date."""
FIXTURE_TABLES: Final = tuple(table for table in LIFECYCLE_TABLES if "sr_id" in metadata.tables[table].columns)
"""Those that have rows of fixtures, which may move to another date; others have rows of tournaments."""

KICKOFF_DATES_SCHEMA: Final[Schema] = {"sr_id": pl.Int64, "kickoff_date": pl.Date}
MARKS_SCHEMA: Final[Schema] = {"kickoff_date": pl.Date, "cycle_id": pl.Int64, "marked_at": INSTANT}
STRAYS_SCHEMA: Final[Schema] = {"sr_id": pl.Int64, "platform": pl.String, "kickoff_date": pl.Date, "table": pl.String}
DUE_DATES_SCHEMA: Final[Schema] = {"kickoff_date": pl.Date, "waits_s": pl.Float64}
LIFECYCLE_LISTINGS_SCHEMA: Final[Schema] = {
    "listing_id": pl.Int32,
    "sr_id": pl.Int64,
    "platform": pl.String,
    "external_id": pl.String,
    "tournament_external_id": pl.String,
    "tournament_key": pl.String,
    "first_listed_at": INSTANT,
    "last_seen_at": INSTANT,
    "own_kickoff": INSTANT,
    "effective_kickoff": INSTANT,
    "speaks": pl.Boolean,
}
DISCOVERIES_SCHEMA: Final[Schema] = {
    "cycle_id": pl.Int64,
    "as_of": INSTANT,
    "platform": pl.String,
    "tournament_external_id": pl.String,
    "complete": pl.Boolean,
    "missing": pl.String,
}
KICKOFF_VERSIONS_SCHEMA: Final[Schema] = {
    "listing_id": pl.Int32,
    "version": pl.Int16,
    "observed_from": INSTANT,
    "kickoff_at": INSTANT,
}


class HistoryReader(Protocol):
    """The odds history over all its days (`storage.odds.reader.OddsHistoryReader`)."""

    def read_changes(
        self, listing_ids: Sequence[int], first_day: date, last_day: date, line_ids: Sequence[int] | None = None
    ) -> pl.DataFrame: ...

    def read_captures(self, listing_ids: Sequence[int], first_day: date, last_day: date) -> pl.DataFrame: ...


@dataclass(frozen=True, slots=True)
class LifecycleInputs:
    """What is known of a kickoff date's listings, but for their books. Shapes as the metrics take them.

    `as_of` is the latest instant that it rests on; None when the date has no fixture. `n_rows`: rows of history per
    listing (listing_id, n_rows).
    """

    listings: pl.DataFrame
    tournaments: pl.DataFrame
    looks: pl.DataFrame
    kickoffs: pl.DataFrame
    listed_kickoffs: pl.DataFrame
    n_rows: pl.DataFrame
    as_of: datetime | None


def read_lifecycle_inputs(
    conn: psycopg.Connection,
    history: HistoryReader,
    day: date,
    home: Platform,
    sr_ids: Sequence[int] | None = None,
    since: date | None = None,
) -> LifecycleInputs:
    """Everything known of the listings that speak for their platforms on fixtures whose effective kickoff is on the UTC
    date `day`; of these fixtures only, or all. With `since` at least everything of that UTC day and later ones.

    A cycle counts once everything of it is in core; an answer as soon as it is stored. Before a listing's first
    sighting only the last complete discovery that lacks it, and what could not look after that, has a look. Other looks
    end at the kickoff, the listing's own or the fixture's; answers do not.
    """
    asked = {"day": day, "sr_ids": None if sr_ids is None else list(sr_ids)}
    found = read_frame(conn, LIFECYCLE_LISTINGS_SQL, asked, LIFECYCLE_LISTINGS_SCHEMA).sort("listing_id")
    ids = found["listing_id"].to_list()
    columns = ", ".join(f"{name} {kind}" for name, kind in TEMP_TABLE_COLUMNS.items())
    copy_to_temp_table(conn, "lives", f"({columns})", found.select(TEMP_TABLE_COLUMNS.keys()))
    versions = read_frame(conn, KICKOFF_VERSIONS_SQL, {"listings": ids}, KICKOFF_VERSIONS_SCHEMA).sort(
        "listing_id", "observed_from"
    )
    captures = _read_capture_looks(history, found, day, since)
    begun = {"since": None if since is None else since - MAX_CYCLE_DURATION}
    failed, rejected, listed = (
        read_frame(conn, query, begun, LISTING_LOOKS)
        for query in (FAILED_LOOKS_SQL, REJECTED_LOOKS_SQL, LISTED_LOOKS_SQL)
    )
    discovered = derive_discovery_looks(found, read_frame(conn, DISCOVERIES_SQL, begun, DISCOVERIES_SCHEMA), listed)
    seen = listed.join(found.select("listing_id", "effective_kickoff"), on="listing_id").filter(
        pl.col("at") < pl.col("effective_kickoff")
    )
    others = pl.concat([failed, rejected, seen.select(LISTING_LOOKS.keys()), discovered])
    looks = keep_one_look_per_cycle(captures.select(LISTING_LOOKS.keys()), others)
    speaking = found.filter("speaks").select("listing_id", "sr_id")
    return LifecycleInputs(
        listings=found.select(
            "listing_id",
            "sr_id",
            "platform",
            (pl.col("platform") == home.value).alias("is_home"),
            "first_listed_at",
            "last_seen_at",
        ),
        tournaments=found.select("sr_id", "tournament_key").unique().sort("sr_id"),
        looks=looks,
        kickoffs=speaking.join(versions, on="listing_id")
        .select("sr_id", "version", "observed_from", "kickoff_at")
        .sort("sr_id", "observed_from"),
        listed_kickoffs=versions.select("listing_id", "observed_from", "kickoff_at"),
        n_rows=captures.group_by("listing_id").agg(n_rows=pl.col("n_changed").sum()).sort("listing_id"),
        as_of=_find_as_of(conn, found, looks),
    )


def read_lifecycle_changes(
    conn: psycopg.Connection,
    history: HistoryReader,
    listings: pl.DataFrame,
    day: date,
    since: date | None = None,
    market_keys: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Rows of the odds history of these listings (of `Lives.listings`) from `since` on, markets by their names
    (`metrics.lifecycle_frames.CHANGES_SCHEMA`).

    Of the markets `market_keys` only, or of all.
    """
    line_ids = None if market_keys is None else read_lines_of_markets(conn, market_keys)
    rows = name_lines(
        conn, history.read_changes(listings["listing_id"].to_list(), *_find_day_range(listings, day, since), line_ids)
    )
    keys = read_frame(
        conn, "select market_id, market_key from core.markets", None, {"market_id": pl.Int16, "market_key": pl.String}
    )
    return rows.join(keys, on="market_id", how="left").drop("market_id")


def derive_discovery_looks(listings: pl.DataFrame, discoveries: pl.DataFrame, listed: pl.DataFrame) -> pl.DataFrame:
    """What discoveries (DISCOVERED) tell of listings (LIVES) that they do not show: absent, or unknown where they could
    not look. Shape LOOKS.

    `listed`: listing_id and cycle_id of those that they show. A platform that takes a match off at the kickoff that it
    claims itself has not dropped it. Of the time before a listing was first seen, only what comes after the last proof
    that it was not there says anything.
    """
    before = pl.col("at") < pl.col("first_listed_at")
    lacking = (
        listings.join(discoveries.rename({"as_of": "at"}), on=["platform", "tournament_external_id"])
        .filter(pl.col("at") < pl.min_horizontal("effective_kickoff", "own_kickoff"))
        .join(listed, on=["listing_id", "cycle_id"], how="anti")
        .with_columns(since=pl.col("at").filter(before & pl.col("complete")).max().over("listing_id"))
        .filter(~before | (pl.col("at") >= pl.col("since")))
    )
    return lacking.select(
        "listing_id",
        "cycle_id",
        "at",
        look=pl.when("complete").then(pl.lit(LookResult.ABSENT.value)).otherwise(pl.lit(LookResult.UNKNOWN.value)),
        detail=pl.when("complete").then(pl.lit("")).otherwise(pl.col("missing")),
        n_markets_priced=pl.lit(None, dtype=pl.Int32),
    )


def keep_one_look_per_cycle(answers: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """All answers, and of what else a cycle tells of a listing the first by precedence where the cycle has no answer
    of it. Shape LOOKS.
    """
    rank = pl.col("look").cast(pl.Enum(LookResult))
    silent = others.join(answers, on=["listing_id", "cycle_id"], how="anti")
    first = silent.sort("listing_id", "cycle_id", rank, "at", "detail").unique(
        ["listing_id", "cycle_id"], keep="first", maintain_order=True
    )
    return pl.concat([answers, first]).sort("listing_id", "at", "cycle_id")


def delete_rows_of_date(conn: psycopg.Connection, day: date, sr_ids: Sequence[int]) -> None:
    """Remove the date's rows, and rows that other dates still hold of its fixtures, which have moved here."""
    for table in LIFECYCLE_TABLES:
        moved = sql.SQL(" or sr_id = any(%(sr_ids)s)" if table in FIXTURE_TABLES else "")
        statement = sql.SQL("delete from {} where kickoff_date = %(day)s{}").format(quote_identifier(table), moved)
        conn.execute(statement, {"day": day, "sr_ids": list(sr_ids)})


def append_rows(conn: psycopg.Connection, table: str, frame: pl.DataFrame) -> int:
    """Append rows to one of TABLES; returns how many. Raises ValueError when the frame lacks or invents columns."""
    if unlike := sorted(set(frame.columns) ^ {column.name for column in metadata.tables[table].columns}):
        raise ValueError(f"{table}: the frame's columns and the table's differ in {', '.join(unlike)}")
    return copy_rows(conn, table, frame)


def read_rows_of_date(
    conn: psycopg.Connection, table: str, day: date, columns: Sequence[str] | None = None
) -> pl.DataFrame:
    """The date's rows of one of TABLES, in the order of its key; all columns, or those named."""
    schema = {name: kind for name, kind in get_frame_schema(table).items() if columns is None or name in columns}
    order = (column.name for column in metadata.tables[table].primary_key.columns)
    named_, ordered = (sql.SQL(", ").join(map(sql.Identifier, names)) for names in (schema, order))
    query = sql.SQL("select {} from {} where kickoff_date = %s order by {}").format(
        named_, quote_identifier(table), ordered
    )
    return read_frame(conn, query.as_string(conn), [day], schema)


def find_strays(conn: psycopg.Connection, day: date) -> pl.DataFrame:
    """Fixtures and platforms of the date (or of its fixtures on another) that a table has rows of and
    listing_lead_time has not: STRAYS.
    """
    return pl.concat(
        [
            read_frame(conn, STRAYS_SQL.format(table=table), {"day": day}, STRAYS_SCHEMA)
            for table in FIXTURE_TABLES
            if table != "mart.listing_lead_time"
        ]
    )


def read_due_dates(conn: psycopg.Connection) -> pl.DataFrame:
    """Dirty dates, each with how long its oldest mark has been waiting, seconds (WAITING)."""
    return read_frame(conn, DUE_DATES_SQL, None, DUE_DATES_SCHEMA)


def read_kickoff_dates(conn: psycopg.Connection, listing_ids: Sequence[int]) -> pl.DataFrame:
    """Fixtures that these listings belong to, with their date (KICKOFF_DATES)."""
    return read_frame(conn, KICKOFF_DATES_SQL, {"listings": list(listing_ids)}, KICKOFF_DATES_SCHEMA)


def mark_dates(
    conn: psycopg.Connection, cycle_id: int, moved_sr_ids: Sequence[int], dates_before: pl.DataFrame
) -> None:
    """Mark the dates on which the cycle changed something: those of the fixtures that it looked at or whose kickoff has
    passed by it, those of `moved` fixtures, and those that fixtures of `before` (`read_kickoff_dates`, from before they
    were matched anew) were on and are no more.

    A full cycle looks at everything that had not begun at the full cycle before it. In the transaction that matches.
    """
    copy_to_temp_table(conn, "stood", "(sr_id bigint, kickoff_date date)", dates_before)
    conn.execute(MARK_SQL, {"cycle_id": cycle_id, "moved": list(moved_sr_ids)})


def read_marks(conn: psycopg.Connection, day: date | None = None) -> pl.DataFrame:
    """Marks of a date, or all (MARKS), oldest first."""
    query = "select kickoff_date, cycle_id, marked_at from mart.dirty_kickoff_dates where %(day)s::date is null or kickoff_date = %(day)s"
    return read_frame(conn, query, {"day": day}, MARKS_SCHEMA).sort("marked_at", "kickoff_date", "cycle_id")


def unmark_dates(conn: psycopg.Connection, marks: pl.DataFrame) -> None:
    """Take away the marks that were `seen` (MARKS). One that was set again since stays."""
    conn.execute(UNMARK_SQL, {name: marks[name].to_list() for name in MARKS_SCHEMA})


def _find_day_range(listings: pl.DataFrame, day: date, since: date | None = None) -> tuple[date, date]:
    """First and last UTC day on which these listings may have been answered; the first is `since` at the earliest."""
    first, last = listings["first_listed_at"].min(), listings["last_seen_at"].max()
    begin = first.date() if isinstance(first, datetime) else day
    return max(begin, since or begin), (last.date() if isinstance(last, datetime) else day)


def _read_capture_looks(history: HistoryReader, found: pl.DataFrame, day: date, since: date | None) -> pl.DataFrame:
    """Answers as looks, with n_changed."""
    rows = history.read_captures(found["listing_id"].to_list(), *_find_day_range(found, day, since))
    return rows.select(
        "listing_id",
        "cycle_id",
        "n_markets_priced",
        "n_changed",
        at="observed_at",
        look=pl.lit(LookResult.ANSWERED.value),
        detail=pl.lit(""),
    )


def _find_as_of(conn: psycopg.Connection, found: pl.DataFrame, looks: pl.DataFrame) -> datetime | None:
    """The latest full cycle up to the first one that saw every kickoff of the date pass, or a later look."""
    if found.is_empty():
        return None
    row = conn.execute(
        AS_OF_SQL, {"last_kickoff": found["effective_kickoff"].max(), "cycles": looks["cycle_id"].unique().to_list()}
    ).fetchone()
    known = [
        at for at in (row and row[0], looks["at"].max(), found["first_listed_at"].max()) if isinstance(at, datetime)
    ]
    return max(known)


TEMP_TABLE_COLUMNS: Final = {
    "listing_id": "integer",
    "sr_id": "bigint",
    "platform": "text",
    "external_id": "text",
    "tournament_external_id": "text",
    "effective_kickoff": "timestamptz",
}
"""What the queries below need of LIVES, as a temporary table."""
IS_IN_CORE_SQL: Final = (
    "exists (select from core.cycle_products p where p.cycle_id = c.cycle_id and p.product = 'matched_events')"
)
"""Of a cycle `c`: everything that core derives from it stands."""
IS_NOT_BEFORE_SQL: Final = "(%(since)s::date is null or c.as_of >= %(since)s::date::timestamp at time zone 'UTC')"
"""Of a cycle `c`: it began on that UTC day or later."""
MAX_CYCLE_DURATION: Final = timedelta(days=1)
"""What a cycle saw is no older than its beginning, and not so much later."""

LIFECYCLE_LISTINGS_SQL: Final = """
select e.listing_id, f.sr_id, e.platform, e.external_id, e.tournament_external_id, f.tournament_key, e.first_seen_at as first_listed_at,
    e.last_seen_at, e.kickoff_at as own_kickoff, f.effective_kickoff, e.platform = f.metadata_source as speaks
from core.fixtures f
join core.event_listings e on e.fixture_sr_id = f.sr_id and e.is_primary
where f.effective_kickoff >= %(day)s::date::timestamp at time zone 'UTC' and f.effective_kickoff < (%(day)s::date + 1)::timestamp at time zone 'UTC'
    and (%(sr_ids)s::bigint[] is null or f.sr_id = any(%(sr_ids)s::bigint[]))
"""
KICKOFF_VERSIONS_SQL: Final = """
select listing_id, version, observed_from, kickoff_at from core.kickoff_versions where listing_id = any(%(listings)s)
"""
FAILED_LOOKS_SQL: Final = f"""
select l.listing_id, c.cycle_id, s.received_at as at, 'failed' as look, concat_ws(': ', s.error_class, nullif(s.error_detail, '')) as detail,
    null::integer as n_markets_priced
from lives l
join ops.event_scrape_status s on s.platform = l.platform and s.external_id = l.external_id and s.status = 'failed'
join core.cycles c on c.cycle_id = s.cycle_id and {IS_IN_CORE_SQL} and {IS_NOT_BEFORE_SQL}
where s.received_at < l.effective_kickoff
"""
REJECTED_LOOKS_SQL: Final = f"""
select l.listing_id, c.cycle_id, coalesce(s.received_at, c.as_of) as at, 'failed' as look, min(r.reason) as detail, null::integer as n_markets_priced
from lives l
join core.rejects r on r.platform = l.platform and r.external_id = l.external_id and r.kind = 'detail' and r.whole_answer
join core.cycles c on c.cycle_id = r.cycle_id and {IS_IN_CORE_SQL} and {IS_NOT_BEFORE_SQL}
left join ops.event_scrape_status s on s.cycle_id = c.cycle_id and s.platform = l.platform and s.external_id = l.external_id
where coalesce(s.received_at, c.as_of) < l.effective_kickoff
group by l.listing_id, c.cycle_id, s.received_at, c.as_of
"""
LISTED_LOOKS_SQL: Final = f"""
select l.listing_id, c.cycle_id, o.observed_at as at, 'listed' as look, '' as detail, null::integer as n_markets_priced
from lives l
join core.listing_observations o on o.listing_id = l.listing_id
join core.cycles c on c.cycle_id = o.cycle_id and {IS_IN_CORE_SQL} and {IS_NOT_BEFORE_SQL}
"""
DISCOVERIES_SQL: Final = f"""
select c.cycle_id, c.as_of, t.platform, t.tournament_external_id, coalesce(m.completeness, d.completeness) = 'complete' as complete,
    coalesce(m.missing, d.missing) as missing
from core.cycles c
cross join (select distinct platform, tournament_external_id from lives) t
join core.discovery_manifest d on d.cycle_id = c.cycle_id and d.platform = t.platform and d.external_id = '*'
-- a tournament that the discovery does not know at all is gone only if the whole discovery is complete
left join core.discovery_manifest m on m.cycle_id = c.cycle_id and m.platform = t.platform and m.external_id = t.tournament_external_id
where c.scope = 'full' and {IS_IN_CORE_SQL} and {IS_NOT_BEFORE_SQL} and c.as_of < (select max(effective_kickoff) from lives)
"""
AS_OF_SQL: Final = f"""
with discoveries as (
    select c.as_of from core.cycles c where c.scope = 'full' and {IS_IN_CORE_SQL}
)
select greatest(
    (
        select max(as_of) from discoveries
        where as_of <= coalesce((select min(as_of) from discoveries where as_of >= %(last_kickoff)s), 'infinity')
    ),
    (select max(as_of) from core.cycles where cycle_id = any(%(cycles)s))
)
"""
KICKOFF_DATES_SQL: Final = """
select distinct f.sr_id, (f.effective_kickoff at time zone 'UTC')::date as kickoff_date
from core.event_listings e join core.fixtures f on f.sr_id = e.fixture_sr_id
where e.listing_id = any(%(listings)s)
"""
MARK_SQL: Final = f"""
insert into mart.dirty_kickoff_dates as d (kickoff_date, cycle_id, marked_at)
with {AFFECTED_FIXTURES_SQL}
select kickoff_date, %(cycle_id)s, clock_timestamp()
from (
    select (effective_kickoff at time zone 'UTC')::date as kickoff_date from bears_on
    union
    select stood.kickoff_date from stood left join core.fixtures f using (sr_id)
    where (f.effective_kickoff at time zone 'UTC')::date is distinct from stood.kickoff_date
) dates
on conflict (kickoff_date, cycle_id) do update set marked_at = excluded.marked_at
"""
UNMARK_SQL: Final = """
delete from mart.dirty_kickoff_dates d
using unnest(%(kickoff_date)s::date[], %(cycle_id)s::bigint[], %(marked_at)s::timestamptz[]) as seen (kickoff_date, cycle_id, marked_at)
where (d.kickoff_date, d.cycle_id, d.marked_at) = (seen.kickoff_date, seen.cycle_id, seen.marked_at)
"""
STRAYS_SQL: Final = """
select distinct t.sr_id, t.platform, t.kickoff_date, '{table}' as table
from {table} t
where (t.kickoff_date = %(day)s or t.sr_id in (select sr_id from mart.listing_lead_time where kickoff_date = %(day)s))
    and not exists (
        select from mart.listing_lead_time l where l.sr_id = t.sr_id and l.platform = t.platform and l.kickoff_date = t.kickoff_date
    )
"""
DUE_DATES_SQL: Final = """
select kickoff_date, extract(epoch from clock_timestamp() - min(marked_at)) as waits_s from mart.dirty_kickoff_dates group by kickoff_date
"""
