"""The odds history: taking answers in, so that captures and market_changes are a function of the answers alone.

Belongs here: what `ingest` reads, compares and writes. Does not: the comparison itself (`change_rows`), the present state (`current`), readers
for others (`history_readers`), partitions (`partitions`).

The unit is (listing, UTC day). The first answer of a day writes every market (a keyframe), a later one what differs from its predecessor on that
day. So an answer that comes late, or again, changes its own rows and those of its successor, and no others.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
import psycopg

from ..domain.words import MarketState
from . import current, partitions
from .change_rows import ANSWER, BOOK_SCHEMA, CHANGE_SCHEMA, CONTENT_SCHEMA, INSTANT, change_rows, differing_answers, stored_form
from .current import violations_current_vs_history
from .frames import copy_rows, read_frame
from .history_readers import CONTENTS_SQL, answers_of_cycle, captures_of_cycle, prices_as_of, stats_of_cycle
from .lines import MARKET, numbered

__all__ = [
    "IngestStats",
    "answers_of_cycle",
    "captures_of_cycle",
    "ingest",
    "prices_as_of",
    "remove",
    "stats_of_cycle",
    "violations_current_vs_history",
]

PLATFORM_LOCK: Final = 7_015
"""First half of the advisory lock of `ingest`; the second half is the caller's `lock_key`."""

CAPTURE_INPUT: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "listing_id": pl.Int32,
    "observed_at": INSTANT,
    "n_markets_listed": pl.Int32,
    "n_markets_mapped": pl.Int32,
    "n_markets_priced": pl.Int32,
    "n_prices": pl.Int32,
    "n_prices_merged": pl.Int32,
}
NEWEST_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {"listing_id": pl.Int32, "newest_at": INSTANT}
ANSWERABLE: Final = [state.value for state in MarketState if state is not MarketState.WITHDRAWN]

STORED_SQL: Final = """
select c.listing_id, c.observed_at
from unnest(%(listings)s::int[], %(days)s::timestamptz[]) as asked (listing_id, day_at)
cross join lateral (
    select listing_id, observed_at from core.captures
    where listing_id = asked.listing_id and observed_at >= asked.day_at and observed_at < asked.day_at + interval '1 day'
) c
"""

NEWEST_SQL: Final = """
select asked.listing_id, c.observed_at as newest_at
from unnest(%(listings)s::int[]) as asked (listing_id)
cross join lateral (
    select observed_at from core.captures where listing_id = asked.listing_id order by observed_at desc limit 1
) c
"""

ROWS_SQL: Final = """
select m.listing_id, m.observed_at, m.line_id, m.state::text as state, coalesce(m.off_mask, 0) as off_mask, m.odds_milli, m.keyframe
from unnest(%(listings)s::int[], %(instants)s::timestamptz[]) as asked (listing_id, observed_at)
cross join lateral (
    select * from core.market_changes where listing_id = asked.listing_id and observed_at = asked.observed_at
) m
"""

DELETE_SQL: Final = """
delete from core.{table} t using unnest(%(listings)s::int[], %(instants)s::timestamptz[]) as gone (listing_id, observed_at)
where t.listing_id = gone.listing_id and t.observed_at = gone.observed_at and t.observed_at >= %(first)s and t.observed_at <= %(last)s
"""

REPAIR_SQL: Final = """
update core.captures c set keyframe = r.keyframe, n_changed = r.n_changed
from unnest(%(listings)s::int[], %(instants)s::timestamptz[], %(keyframes)s::boolean[], %(changes)s::int[])
    as r (listing_id, observed_at, keyframe, n_changed)
where c.listing_id = r.listing_id and c.observed_at = r.observed_at and c.observed_at >= %(first)s and c.observed_at <= %(last)s
    and (c.keyframe, c.n_changed) is distinct from (r.keyframe, r.n_changed)
"""


@dataclass(frozen=True, slots=True)
class IngestStats:
    """What an ingestion came to, over the answers given to it."""

    n_captures: int
    """Answers taken in."""
    n_keyframes: int
    """... of which are the first of their listing's UTC day."""
    n_changed_markets: int
    """Markets that differ from the answer before, over the answers that are no keyframe."""
    n_rows_written: int
    """Rows of history physically written, those of repaired successors included; 0 for a repetition."""


def ingest(
    conn: psycopg.Connection[Any],
    captures: pl.DataFrame,
    rows: pl.DataFrame,
    *,
    cycle_id: int,
    mapping_version: str,
    ingested_at: datetime,
    lock_key: int | None = None,
) -> IngestStats:
    """Take answers into the history, in any order and as often as one likes: the stored state is the same as if each had come once, in order.

    `captures`: one row per answer (CAPTURE_INPUT); `rows`: what the answers say (CONTENT_SCHEMA); an answer without rows is an empty book.
    An answer that is stored already (same listing and instant) is replaced. All in the caller's transaction, which must be READ COMMITTED and is
    not committed here; with `lock_key` (one per platform) concurrent callers wait for each other until it ends.
    Raises ValueError when a frame breaks its keys, MissingPartitionError when a day has no partition.
    """
    captures, rows = checked(captures, rows)
    if captures.is_empty():
        return IngestStats(0, 0, 0, 0)
    _lock(conn, lock_key)
    partitions.require(conn, captures.get_column("observed_at").dt.date().unique().to_list())
    newest = read_frame(conn, NEWEST_SQL, {"listings": captures.get_column("listing_id").unique().to_list()}, NEWEST_SCHEMA)
    line = timeline(conn, captures)
    dirty = line.filter(pl.col("given") | pl.col("follows_given"))
    contents = pl.concat([numbered(conn, rows).select(list(BOOK_SCHEMA)), stored_contents(conn, dirty)])
    changes = change_rows(dirty.select(*ANSWER, "previous_at"), contents)
    rewritten = write_changes(conn, dirty, changes)
    written = write_captures(conn, captures, dirty, changes, {"cycle_id": cycle_id, "mapping_version": mapping_version, "ingested_at": ingested_at})
    answers = dirty.filter("given").select(*ANSWER, "previous_at")
    current.follow(conn, newest=newest, answers=answers, contents=contents, changes=changes, touched=rewritten)
    return IngestStats(
        n_captures=written.height,
        n_keyframes=int(written.get_column("keyframe").sum()),
        n_changed_markets=int(written.filter(~pl.col("keyframe")).get_column("n_changed").sum()),
        n_rows_written=changes.join(rewritten, on=ANSWER, how="semi").height,
    )


def remove(conn: psycopg.Connection[Any], answers: pl.DataFrame, lock_key: int | None = None) -> None:
    """Take stored answers (ANSWER) out of the history: what is left is as if they had never come. Transaction and lock as for `ingest`.

    The present state of their listings is derived anew from what is stored.
    """
    if answers.is_empty():
        return
    _lock(conn, lock_key)
    rest = timeline(conn, answers.select(ANSWER)).filter(~pl.col("given"))
    before = pl.col("observed_at").shift(1).over("listing_id", pl.col("observed_at").dt.date())
    dirty = rest.with_columns(previous_at=before).filter("follows_given").with_columns(follows_given=pl.lit(False))
    changes = change_rows(dirty.select(*ANSWER, "previous_at"), stored_contents(conn, dirty))
    for table in ("market_changes", "captures"):
        conn.execute(DELETE_SQL.format(table=table), answer_params(answers))
    write_changes(conn, dirty, changes)
    repair_captures(conn, with_counts(dirty, changes))
    current.renew(conn, answers.get_column("listing_id").to_list())


def _lock(conn: psycopg.Connection[Any], lock_key: int | None) -> None:
    if lock_key is not None:
        conn.execute("select pg_advisory_xact_lock(%s, %s)", [PLATFORM_LOCK, lock_key])


def checked(captures: pl.DataFrame, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Both frames in their schema. Raises ValueError naming the first offending key on a null, a duplicate, a stray row or a foreign state."""
    captures = captures.select(pl.col(name).cast(kind) for name, kind in CAPTURE_INPUT.items())
    rows = rows.select(pl.col(name).cast(kind) for name, kind in CONTENT_SCHEMA.items())
    for frame in (captures, rows):
        nulls = [name for name, n in frame.null_count().row(0, named=True).items() if n] if frame.height else []
        if nulls:
            raise ValueError(f"null in {', '.join(nulls)}: history is keyed by these columns and compares them")
    offences = {
        "answers given twice": captures.filter(captures.select(ANSWER).is_duplicated()),
        "markets given twice for one answer": rows.filter(rows.select(*ANSWER, *MARKET).is_duplicated()),
        "rows without their answer": rows.join(captures, on=ANSWER, how="anti"),
        f"states other than {', '.join(ANSWERABLE)}": rows.filter(~pl.col("state").is_in(ANSWERABLE)),
    }
    for what, found in offences.items():
        if found.height:
            raise ValueError(f"{found.height} {what}, e.g. {found.row(0, named=True)}")
    return captures, rows


def timeline(conn: psycopg.Connection[Any], captures: pl.DataFrame) -> pl.DataFrame:
    """All answers, given and stored, of the listing-days that are touched.

    Columns: ANSWER; given, stored (which of the two, or both); previous_at (its predecessor on that day, null for the first); follows_given
    (its predecessor is among those given). Sorted by ANSWER.
    """
    given = captures.select(ANSWER).with_columns(given=pl.lit(True))
    asked = given.select("listing_id", day_at=pl.col("observed_at").dt.truncate("1d")).unique()
    params = {"listings": asked.get_column("listing_id").to_list(), "days": asked.get_column("day_at").to_list()}
    stored = read_frame(conn, STORED_SQL, params, {"listing_id": pl.Int32, "observed_at": INSTANT}).with_columns(stored=pl.lit(True))
    both = given.join(stored, on=ANSWER, how="full", coalesce=True).with_columns(pl.col("given", "stored").fill_null(False)).sort(ANSWER)
    day = ["listing_id", pl.col("observed_at").dt.date()]
    return both.with_columns(
        previous_at=pl.col("observed_at").shift(1).over(day),
        follows_given=pl.col("given").shift(1).over(day).fill_null(False),
    )


def stored_contents(conn: psycopg.Connection[Any], dirty: pl.DataFrame) -> pl.DataFrame:
    """BOOK_SCHEMA of the stored answers that the comparison needs: predecessors of what is given, and successors."""
    successors = dirty.filter(~pl.col("given")).select(ANSWER)
    predecessors = dirty.filter(~pl.col("follows_given")).select("listing_id", observed_at="previous_at").drop_nulls()
    needed = pl.concat([successors, predecessors.select(ANSWER)]).unique()
    if needed.is_empty():
        return pl.DataFrame(schema=BOOK_SCHEMA)
    found = read_frame(conn, CONTENTS_SQL, answer_params(needed), BOOK_SCHEMA)
    return found.filter(pl.col("state") != MarketState.WITHDRAWN.value)


def answer_params(answers: pl.DataFrame) -> dict[str, Any]:
    """ANSWER keys as statement parameters, with their range, which lets Postgres leave other days alone."""
    return {
        "listings": answers.get_column("listing_id").to_list(),
        "instants": answers.get_column("observed_at").to_list(),
        "first": answers.get_column("observed_at").min(),
        "last": answers.get_column("observed_at").max(),
    }


def write_changes(conn: psycopg.Connection[Any], dirty: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    """Bring market_changes in line with `changes` for the dirty answers; what stands already as it should is left alone.

    Returns the ANSWER keys that are new or were rewritten.
    """
    there = dirty.filter("stored").select(ANSWER)
    fresh = dirty.filter(~pl.col("stored")).select(ANSWER)
    stale = fresh.clear()
    if there.height:
        before = read_frame(conn, ROWS_SQL, answer_params(there), CHANGE_SCHEMA)
        stale = differing_answers(before, changes.join(there, on=ANSWER, how="semi"))
    if stale.height:
        conn.execute(DELETE_SQL.format(table="market_changes"), answer_params(stale))
    rewritten = pl.concat([fresh, stale])
    copy_rows(conn, "core.market_changes", stored_form(changes).join(rewritten, on=ANSWER, how="semi").sort(*ANSWER, "line_id"))
    return rewritten


def write_captures(
    conn: psycopg.Connection[Any], captures: pl.DataFrame, dirty: pl.DataFrame, changes: pl.DataFrame, constants: dict[str, Any]
) -> pl.DataFrame:
    """Replace the captures given, repair those of stored successors; returns the frame of those given."""
    counted = with_counts(dirty, changes)
    repair_captures(conn, counted.filter(~pl.col("given")))
    replaced = counted.filter(pl.col("given") & pl.col("stored"))
    if replaced.height:
        conn.execute(DELETE_SQL.format(table="captures"), answer_params(replaced))
    written = captures.join(counted.select(*ANSWER, "keyframe", "n_changed"), on=ANSWER).with_columns(
        **{name: pl.lit(value) for name, value in constants.items()}
    )
    copy_rows(conn, "core.captures", written.sort(ANSWER))
    return written


def with_counts(dirty: pl.DataFrame, changes: pl.DataFrame) -> pl.DataFrame:
    """The dirty answers (ANSWER, given, stored) with what their captures say of `changes`: keyframe and n_changed."""
    return (
        dirty.join(changes.group_by(ANSWER).len("n_changed"), on=ANSWER, how="left")
        .with_columns(pl.col("n_changed").fill_null(0).cast(pl.Int32), keyframe=pl.col("previous_at").is_null())
        .select(*ANSWER, "given", "stored", "keyframe", "n_changed")
    )


def repair_captures(conn: psycopg.Connection[Any], counted: pl.DataFrame) -> None:
    """Bring keyframe and n_changed of stored captures in line with `counted`."""
    if counted.height:
        repair = {"keyframes": counted.get_column("keyframe").to_list(), "changes": counted.get_column("n_changed").to_list()}
        conn.execute(REPAIR_SQL, {**answer_params(counted), **repair})
