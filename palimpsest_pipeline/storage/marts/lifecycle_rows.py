"""Read the input of the lifecycle, write its tables, and mark the kickoff dates that are due.

The lifecycle of a fixture is its availability, opening and closing prices, lead times and margins. Rows are replaced by
UTC date of kickoff. A due mark is a row that says that a date must be derived again. Callers commit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Protocol

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.enums import LookResult, Platform
from palimpsest_pipeline.domain.schemas import LISTING_LOOKS
from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline.tables.frame_types import require_table_columns

from ..db.copy_frames import copy_rows, copy_to_temp_table, quote_identifier, read_frame
from ..derivation.dirty_fixtures import AFFECTED_FIXTURES_SQL
from ..odds.market_lines import name_lines, read_lines_of_markets

LIFECYCLE_TABLES: Final = (
    "mart.availability_interval",
    "mart.open_close",
    "mart.listing_lead_time",
    "mart.market_margin",
    "mart.margin_ttk_bucket",
    "mart.gap_count",
)
"""Tables whose rows are replaced by kickoff date."""
FIXTURE_TABLES: Final = tuple(table for table in LIFECYCLE_TABLES if "sr_id" in metadata.tables[table].columns)
"""Tables with rows per fixture, which may move to another date. The others have rows per tournament."""


class HistoryReader(Protocol):
    """The interface of a reader of the odds history, such as `OddsHistoryReader`."""

    def read_changes(
        self, listing_ids: Sequence[int], first_day: date, last_day: date, line_ids: Sequence[int] | None = None
    ) -> pl.DataFrame: ...

    def read_captures(self, listing_ids: Sequence[int], first_day: date, last_day: date) -> pl.DataFrame: ...


@dataclass(frozen=True, slots=True)
class LifecycleInputs:
    """The input of the lifecycle metrics for one kickoff date, except the odds.

    `as_of` is the latest instant of the data; None when the date has no fixture. `n_rows` has the number of history
    rows per listing (listing_id, n_rows).
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
    """Return the lifecycle input of the primary listings of fixtures that kick off on the UTC date `day`.

    The effective kickoff decides. `sr_ids` restricts the fixtures. `since` restricts the looks to that UTC day and
    later; some earlier looks may be included.

    A cycle's discovery counts when all core products of the cycle exist. An answer counts as soon as it is stored.
    Before a listing is first seen, only two kinds of looks count: the last complete discovery without the listing, and
    failed looks after it. Looks other than answers end at the kickoff, of the listing or of the fixture.
    """
    params = {"day": day, "sr_ids": None if sr_ids is None else list(sr_ids)}
    listings = read_frame(conn, LIFECYCLE_LISTINGS_SQL, params).sort("listing_id")
    ids = listings["listing_id"].to_list()
    columns = ", ".join(f"{name} {kind}" for name, kind in TEMP_TABLE_COLUMNS.items())
    copy_to_temp_table(conn, "lives", f"({columns})", listings.select(TEMP_TABLE_COLUMNS.keys()))
    versions = read_frame(conn, KICKOFF_VERSIONS_SQL, {"listings": ids}).sort("listing_id", "observed_from")
    captures = _read_capture_looks(history, listings, day, since)
    since_params = {"since": None if since is None else since - MAX_CYCLE_DURATION}
    failed, rejected, listed = (
        read_frame(conn, query, since_params) for query in (FAILED_LOOKS_SQL, REJECTED_LOOKS_SQL, LISTED_LOOKS_SQL)
    )
    discovery_looks = derive_discovery_looks(listings, read_frame(conn, DISCOVERIES_SQL, since_params), listed)
    listed_before_kickoff = listed.join(listings.select("listing_id", "effective_kickoff"), on="listing_id").filter(
        pl.col("at") < pl.col("effective_kickoff")
    )
    other_looks = pl.concat([failed, rejected, listed_before_kickoff.select(LISTING_LOOKS.keys()), discovery_looks])
    looks = keep_one_look_per_cycle(captures.select(LISTING_LOOKS.keys()), other_looks)
    speaking_listings = listings.filter("speaks").select("listing_id", "sr_id")
    return LifecycleInputs(
        listings=listings.select(
            "listing_id",
            "sr_id",
            "platform",
            (pl.col("platform") == home).alias("is_home"),
            "first_listed_at",
            "last_seen_at",
        ),
        tournaments=listings.select("sr_id", "tournament_key").unique().sort("sr_id"),
        looks=looks,
        kickoffs=speaking_listings.join(versions, on="listing_id")
        .select("sr_id", "version", "observed_from", "kickoff_at")
        .sort("sr_id", "observed_from"),
        listed_kickoffs=versions.select("listing_id", "observed_from", "kickoff_at"),
        n_rows=captures.group_by("listing_id").agg(n_rows=pl.col("n_changed").sum()).sort("listing_id"),
        as_of=_find_as_of(conn, listings, looks),
    )


def read_lifecycle_changes(
    conn: psycopg.Connection,
    history: HistoryReader,
    listings: pl.DataFrame,
    day: date,
    since: date | None = None,
    market_keys: Sequence[str] | None = None,
) -> pl.DataFrame:
    """Return the history rows of these listings from `since` on, with names of markets.

    The result has `metrics.lifecycle_frames.CHANGES_SCHEMA`. `listings` has the columns of `LifecycleInputs.listings`.
    `market_keys` restricts the markets; None means all.
    """
    line_ids = None if market_keys is None else read_lines_of_markets(conn, market_keys)
    rows = name_lines(
        conn, history.read_changes(listings["listing_id"].to_list(), *_find_day_range(listings, day, since), line_ids)
    )
    keys = read_frame(conn, "select market_id, market_key from core.markets")
    return rows.join(keys, on="market_id", how="left").drop("market_id")


def derive_discovery_looks(listings: pl.DataFrame, discoveries: pl.DataFrame, listed: pl.DataFrame) -> pl.DataFrame:
    """Return the looks (LISTING_LOOKS) from discoveries that lack a listing, as absent or unknown.

    `listings` are the rows of LIFECYCLE_LISTINGS_SQL, `discoveries` those of DISCOVERIES_SQL. `listed` has the pairs
    (listing_id, cycle_id) of listings that a discovery contains. The look is unknown when the discovery was incomplete.
    Discoveries after the kickoff that the platform stated do not count. Before a listing was first seen, only its last
    proven absence and later looks count.
    """
    before = pl.col("at") < pl.col("first_listed_at")
    unseen = (
        listings.join(discoveries.rename({"as_of": "at"}), on=["platform", "tournament_external_id"])
        .filter(pl.col("at") < pl.min_horizontal("effective_kickoff", "own_kickoff"))
        .join(listed, on=["listing_id", "cycle_id"], how="anti")
        .with_columns(since=pl.col("at").filter(before & pl.col("complete")).max().over("listing_id"))
        .filter(~before | (pl.col("at") >= pl.col("since")))
    )
    return unseen.select(
        "listing_id",
        "cycle_id",
        "at",
        look=pl.when("complete").then(pl.lit(LookResult.ABSENT.value)).otherwise(pl.lit(LookResult.UNKNOWN.value)),
        detail=pl.when("complete").then(pl.lit("")).otherwise(pl.col("missing")),
        n_markets_priced=pl.lit(None, dtype=pl.Int32),
    )


def keep_one_look_per_cycle(answers: pl.DataFrame, other_looks: pl.DataFrame) -> pl.DataFrame:
    """Return all answers, and one other look per listing and cycle without an answer (LISTING_LOOKS).

    Of several other looks, the first in the order of LookResult is kept.
    """
    rank = pl.col("look").cast(pl.Enum(LookResult))
    unanswered = other_looks.join(answers, on=["listing_id", "cycle_id"], how="anti")
    first = unanswered.sort("listing_id", "cycle_id", rank, "at", "detail").unique(
        ["listing_id", "cycle_id"], keep="first", maintain_order=True
    )
    return pl.concat([answers, first]).sort("listing_id", "at", "cycle_id")


def delete_rows_of_date(conn: psycopg.Connection, day: date, sr_ids: Sequence[int]) -> None:
    """Delete the date's rows, and rows of the fixtures `sr_ids` on other dates.

    A fixture has rows on another date when its kickoff was moved.
    """
    for table in LIFECYCLE_TABLES:
        moved_condition = sql.SQL(" or sr_id = any(%(sr_ids)s)" if table in FIXTURE_TABLES else "")
        statement = sql.SQL("delete from {} where kickoff_date = %(day)s{}").format(
            quote_identifier(table), moved_condition
        )
        conn.execute(statement, {"day": day, "sr_ids": list(sr_ids)})


def append_rows(conn: psycopg.Connection, table: str, frame: pl.DataFrame) -> int:
    """Append rows to one of LIFECYCLE_TABLES; return the number of rows.

    Raises ValueError when the columns of frame and table differ.
    """
    require_table_columns(table, frame)
    return copy_rows(conn, table, frame)


def read_due_dates(conn: psycopg.Connection) -> pl.DataFrame:
    """Return the due dates (kickoff_date), each with the age of its oldest mark in seconds (waits_s)."""
    return read_frame(conn, DUE_DATES_SQL)


def read_kickoff_dates(conn: psycopg.Connection, listing_ids: Sequence[int]) -> pl.DataFrame:
    """Return the fixtures of these listings with their kickoff dates: sr_id, kickoff_date."""
    return read_frame(conn, KICKOFF_DATES_SQL, {"listings": list(listing_ids)})


def mark_dates(
    conn: psycopg.Connection, cycle_id: int, moved_sr_ids: Sequence[int], dates_before: pl.DataFrame
) -> None:
    """Mark the kickoff dates as due whose fixtures the cycle has changed.

    These are the dates of fixtures that the cycle observed, of fixtures whose kickoff has passed by the cycle's
    instant, of `moved_sr_ids`, and the earlier dates of fixtures in `dates_before`. `dates_before` is the result of
    `read_kickoff_dates` before the fixtures were matched again.

    A full cycle observes all fixtures that had not kicked off at the previous full cycle. Call it in the transaction
    that matches.
    """
    copy_to_temp_table(conn, "stood", "(sr_id bigint, kickoff_date date)", dates_before)
    conn.execute(_MARK_SQL, {"cycle_id": cycle_id, "moved": list(moved_sr_ids)})


def read_date_marks(conn: psycopg.Connection, day: date | None = None) -> pl.DataFrame:
    """Return the due marks of one date, or of all dates, oldest first: kickoff_date, cycle_id, marked_at."""
    query = (
        "select kickoff_date, cycle_id, marked_at from mart.dirty_kickoff_dates "
        "where %(day)s::date is null or kickoff_date = %(day)s"
    )
    return read_frame(conn, query, {"day": day}).sort("marked_at", "kickoff_date", "cycle_id")


def unmark_dates(conn: psycopg.Connection, marks: pl.DataFrame) -> None:
    """Delete these due marks of `read_date_marks`. A mark that was set again after it was read stays."""
    conn.execute(_UNMARK_SQL, marks.to_dict(as_series=False))


def _find_day_range(listings: pl.DataFrame, day: date, since: date | None = None) -> tuple[date, date]:
    """Return the first and the last UTC day that may have answers of these listings.

    The first day is not before `since`.
    """
    first, last = listings["first_listed_at"].min(), listings["last_seen_at"].max()
    begin = first.date() if isinstance(first, datetime) else day
    return max(begin, since or begin), (last.date() if isinstance(last, datetime) else day)


def _read_capture_looks(history: HistoryReader, listings: pl.DataFrame, day: date, since: date | None) -> pl.DataFrame:
    """Return the answers of these listings as looks, with the column n_changed."""
    rows = history.read_captures(listings["listing_id"].to_list(), *_find_day_range(listings, day, since))
    return rows.select(
        "listing_id",
        "cycle_id",
        "n_markets_priced",
        "n_changed",
        at="observed_at",
        look=pl.lit(LookResult.ANSWERED.value),
        detail=pl.lit(""),
    )


def _find_as_of(conn: psycopg.Connection, listings: pl.DataFrame, looks: pl.DataFrame) -> datetime | None:
    """Return the latest instant of the input: that of a cycle, a look or a first sighting.

    Full cycles up to the first one after all kickoffs of the date count.
    """
    if listings.is_empty():
        return None
    row = conn.execute(
        AS_OF_SQL, {"last_kickoff": listings["effective_kickoff"].max(), "cycles": looks["cycle_id"].unique().to_list()}
    ).fetchone()
    instants = [
        at for at in (row and row[0], looks["at"].max(), listings["first_listed_at"].max()) if isinstance(at, datetime)
    ]
    return max(instants)


TEMP_TABLE_COLUMNS: Final = {
    "listing_id": "integer",
    "sr_id": "bigint",
    "platform": "text",
    "external_id": "text",
    "tournament_external_id": "text",
    "effective_kickoff": "timestamptz",
}
"""Columns of LIFECYCLE_LISTINGS_SQL that the queries below read from a temporary table."""
IS_IN_CORE_SQL: Final = (
    "exists (select from core.cycle_products p where p.cycle_id = c.cycle_id and p.product = 'matched_events')"
)
"""SQL condition on a cycle `c`: all its core products exist."""
IS_NOT_BEFORE_SQL: Final = "(%(since)s::date is null or c.as_of >= %(since)s::date::timestamp at time zone 'UTC')"
"""SQL condition on a cycle `c`: it started on the UTC day `since` or later."""
MAX_CYCLE_DURATION: Final = timedelta(days=1)
"""Maximum duration of a cycle. Its observations are at most this much later than its start."""

LIFECYCLE_LISTINGS_SQL: Final = """
select e.listing_id, f.sr_id, e.platform, e.external_id, e.tournament_external_id, f.tournament_key,
    e.first_seen_at as first_listed_at,
    e.last_seen_at, e.kickoff_at as own_kickoff, f.effective_kickoff, e.platform = f.metadata_source as speaks
from core.fixtures f
join core.event_listings e on e.fixture_sr_id = f.sr_id and e.is_primary
where f.effective_kickoff >= %(day)s::date::timestamp at time zone 'UTC'
    and f.effective_kickoff < (%(day)s::date + 1)::timestamp at time zone 'UTC'
    and (%(sr_ids)s::bigint[] is null or f.sr_id = any(%(sr_ids)s::bigint[]))
"""
KICKOFF_VERSIONS_SQL: Final = """
select listing_id, version, observed_from, kickoff_at from core.kickoff_versions where listing_id = any(%(listings)s)
"""
FAILED_LOOKS_SQL: Final = f"""
select l.listing_id, c.cycle_id, s.received_at as at, 'failed' as look,
    concat_ws(': ', s.error_class, nullif(s.error_detail, '')) as detail,
    null::integer as n_markets_priced
from lives l
join ops.event_scrape_status s on s.platform = l.platform and s.external_id = l.external_id and s.status = 'failed'
join core.cycles c on c.cycle_id = s.cycle_id and {IS_IN_CORE_SQL} and {IS_NOT_BEFORE_SQL}
where s.received_at < l.effective_kickoff
"""
REJECTED_LOOKS_SQL: Final = f"""
select l.listing_id, c.cycle_id, coalesce(s.received_at, c.as_of) as at, 'failed' as look, min(r.reason) as detail,
    null::integer as n_markets_priced
from lives l
join core.rejects r on r.platform = l.platform and r.external_id = l.external_id and r.kind = 'detail'
    and r.whole_answer
join core.cycles c on c.cycle_id = r.cycle_id and {IS_IN_CORE_SQL} and {IS_NOT_BEFORE_SQL}
left join ops.event_scrape_status s on s.cycle_id = c.cycle_id and s.platform = l.platform
    and s.external_id = l.external_id
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
select c.cycle_id, c.as_of, t.platform, t.tournament_external_id,
    coalesce(m.completeness, d.completeness) = 'complete' as complete,
    coalesce(m.missing, d.missing) as missing
from core.cycles c
cross join (select distinct platform, tournament_external_id from lives) t
join core.discovery_manifest d on d.cycle_id = c.cycle_id and d.platform = t.platform and d.external_id = '*'
-- a tournament that the discovery does not know at all is gone only if the whole discovery is complete
left join core.discovery_manifest m on m.cycle_id = c.cycle_id and m.platform = t.platform
    and m.external_id = t.tournament_external_id
where c.scope = 'full' and {IS_IN_CORE_SQL} and {IS_NOT_BEFORE_SQL}
    and c.as_of < (select max(effective_kickoff) from lives)
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
_MARK_SQL: Final = f"""
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
_UNMARK_SQL: Final = """
delete from mart.dirty_kickoff_dates d
using unnest(%(kickoff_date)s::date[], %(cycle_id)s::bigint[], %(marked_at)s::timestamptz[]) as seen (kickoff_date,
    cycle_id, marked_at)
where (d.kickoff_date, d.cycle_id, d.marked_at) = (seen.kickoff_date, seen.cycle_id, seen.marked_at)
"""
DUE_DATES_SQL: Final = """
select kickoff_date, extract(epoch from clock_timestamp() - min(marked_at)) as waits_s
from mart.dirty_kickoff_dates group by kickoff_date
"""
