"""Write the odds history: the tables core.captures and core.market_changes.

`change_rows` compares an answer with the previous one.

The history is written per listing and UTC day. The first answer of a day writes every market (a keyframe). A later
answer writes only the markets that differ from the previous answer of that day. So an answer that arrives late, or
again, changes only its own rows and those of the next answer.

Answers are ingested in rounds with at most one answer per listing. Nearly all answers are newer than all stored answers
of their listing: for them the previous book is the current state, and the history is not read. For the others, the
previous and the next book are computed from the rows of the day.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import MarketState
from palimpsest_pipeline.domain.schemas import INSTANT

from ..db.copy_frames import copy_rows, read_frame
from ..db.locks import AdvisoryLock
from . import current_markets, partitions
from .change_rows import (
    ANSWER_KEY,
    BOOK_SCHEMA,
    CONTENT_SCHEMA,
    ROW_SCHEMA,
    build_history_rows,
    diff_books,
    encode_facts,
    find_differing_answers,
    select_listings,
)
from .market_lines import LINE_KEY_SCHEMA, LineCache, number_lines

CAPTURE_INPUT_SCHEMA: Final[dict[str, pl.DataType | type[pl.DataType]]] = {
    "listing_id": pl.Int32,
    "observed_at": INSTANT,
    "n_markets_listed": pl.Int32,
    "n_markets_mapped": pl.Int32,
    "n_markets_priced": pl.Int32,
    "n_prices": pl.Int32,
    "n_prices_merged": pl.Int32,
}
ANSWERABLE_STATES: Final = [state.value for state in MarketState if state is not MarketState.WITHDRAWN]

ANSWERS_OF_CYCLE_SQL: Final = """
select c.listing_id, c.observed_at from core.captures c join ops.listing_ids i using (listing_id)
where c.cycle_id = %(cycle_id)s and i.platform = %(platform)s
"""

ROWS_OF_CYCLE_SQL: Final = """
select count(*) + coalesce(sum(c.n_changed), 0) from core.captures c join ops.listing_ids i using (listing_id)
where c.cycle_id = %(cycle_id)s and i.platform = %(platform)s
"""

NEWEST_SQL: Final = """
select asked.listing_id, c.observed_at as newest_at
from unnest(%(listings)s::int[]) as asked (listing_id)
cross join lateral (
    select observed_at from core.captures where listing_id = asked.listing_id order by observed_at desc limit 1
) c
"""

_NEIGHBOURS_SQL: Final = """
select asked.listing_id, asked.observed_at, same.observed_at is not null as stored,
    before.observed_at as previous_at, after.observed_at as next_at
from unnest(%(listings)s::int[], %(instants)s::timestamptz[]) as asked (listing_id, observed_at)
left join lateral (
    select observed_at from core.captures c where c.listing_id = asked.listing_id
        and c.observed_at = asked.observed_at limit 1
) same on true
left join lateral (
    select observed_at from core.captures c where c.listing_id = asked.listing_id and c.observed_at < asked.observed_at
    order by c.observed_at desc limit 1
) before on true
left join lateral (
    select observed_at from core.captures c where c.listing_id = asked.listing_id and c.observed_at > asked.observed_at
    order by c.observed_at limit 1
) after on true
"""

_BOOKS_SQL: Final = """
select asked.listing_id, m.line_id, m.state, m.off_mask, m.odds_milli::text as odds_milli
from unnest(%(listings)s::int[], %(instants)s::timestamptz[]) as asked (listing_id, observed_at)
cross join lateral (
    select distinct on (line_id) line_id, state, off_mask, odds_milli
    from core.market_changes
    where listing_id = asked.listing_id
        and observed_at >= date_trunc('day', asked.observed_at, 'UTC') and observed_at <= asked.observed_at
    order by line_id, observed_at desc
) m
where m.state <> 'withdrawn'
"""

ROWS_SQL: Final = """
select m.listing_id, m.observed_at, m.line_id, m.state, m.off_mask, m.odds_milli::text as odds_milli, m.keyframe
from unnest(%(listings)s::int[], %(instants)s::timestamptz[]) as asked (listing_id, observed_at)
cross join lateral (
    select * from core.market_changes where listing_id = asked.listing_id and observed_at = asked.observed_at
) m
"""

_DELETE_SQL: Final = """
delete from core.{table} t using unnest(%(listings)s::int[], %(instants)s::timestamptz[]) as gone (listing_id,
    observed_at)
where t.listing_id = gone.listing_id and t.observed_at = gone.observed_at and t.observed_at >= %(first)s
    and t.observed_at <= %(last)s
"""

REPAIR_CAPTURES_SQL: Final = """
update core.captures c set keyframe = r.keyframe, n_changed = r.n_changed
from unnest(%(listings)s::int[], %(instants)s::timestamptz[], %(keyframes)s::boolean[], %(changes)s::int[])
    as r (listing_id, observed_at, keyframe, n_changed)
where c.listing_id = r.listing_id and c.observed_at = r.observed_at and c.observed_at >= %(first)s
    and c.observed_at <= %(last)s
    and (c.keyframe, c.n_changed) is distinct from (r.keyframe, r.n_changed)
"""


@dataclass(frozen=True, slots=True)
class IngestStats:
    """The counts of one call of `ingest_answers`."""

    n_captures: int
    """Number of ingested answers."""
    n_keyframes: int
    """Number of ingested answers that are the first of their listing on a UTC day."""
    n_changed_markets: int
    """Number of markets that differ from the previous answer, summed over answers that are no keyframes."""
    n_rows_written: int
    """Number of history rows written, including corrected rows of the next answers.

    It is 0 when the same answers are ingested again.
    """

    def __add__(self, other: "IngestStats") -> "IngestStats":
        return IngestStats(
            self.n_captures + other.n_captures,
            self.n_keyframes + other.n_keyframes,
            self.n_changed_markets + other.n_changed_markets,
            self.n_rows_written + other.n_rows_written,
        )


def ingest_answers(
    conn: psycopg.Connection[Any],
    captures: pl.DataFrame,
    rows: pl.DataFrame,
    *,
    cycle_id: int,
    mapping_version: str,
    ingested_at: datetime,
    platform: str | None = None,
    line_cache: LineCache | None = None,
) -> IngestStats:
    """Write answers into the history. Answers may come in any order and repeatedly.

    The stored state is the same as if each answer had arrived once and in order.

    `captures` has one row per answer (CAPTURE_INPUT_SCHEMA). `rows` has the markets of the answers (CONTENT_SCHEMA); an
    answer without rows has an empty book. A stored answer with the same listing and instant is replaced.

    All writes happen in the caller's transaction, which must be READ COMMITTED and is not committed here. With
    `platform` concurrent callers for the same platform wait for each other until it ends. `line_cache` is for a caller
    of many batches. Raises ValueError when a frame breaks its keys, MissingPartitionError when a day has no partition.
    """
    captures, rows = validate_input(captures, rows)
    stats = IngestStats(0, 0, 0, 0)
    if captures.is_empty():
        return stats
    lock_platform(conn, platform)
    partitions.require_partitions(conn, captures.get_column("observed_at").dt.date().unique().to_list())
    books = encode_facts(number_lines(conn, rows, line_cache))
    constants = {"cycle_id": cycle_id, "mapping_version": mapping_version, "ingested_at": ingested_at}
    for round_answers in split_into_arrival_rounds(captures):
        round_books = (
            books if round_answers.height == captures.height else books.join(round_answers, on=ANSWER_KEY, how="semi")
        )
        stats += _ingest_round(
            conn,
            round_answers.with_columns(**{name: pl.lit(value) for name, value in constants.items()}),
            round_books.select(list(BOOK_SCHEMA)),
        )
    return stats


def read_answers_of_cycle(conn: psycopg.Connection[Any], cycle_id: int, platform: str) -> pl.DataFrame:
    """Return the keys (ANSWER_KEY) of the stored answers of a platform in a cycle, unsorted."""
    return read_frame(
        conn,
        ANSWERS_OF_CYCLE_SQL,
        {"cycle_id": cycle_id, "platform": platform},
    )


def count_rows_of_cycle(conn: psycopg.Connection[Any], cycle_id: int, platform: str) -> int:
    """Return the number of history rows that come from a platform's answers of a cycle.

    It counts each answer and each of its changed markets once.
    """
    (n_rows,) = conn.execute(ROWS_OF_CYCLE_SQL, {"cycle_id": cycle_id, "platform": platform}).fetchone() or (0,)
    return int(n_rows)


def remove_answers(conn: psycopg.Connection[Any], answers: pl.DataFrame, platform: str | None = None) -> None:
    """Remove stored answers (ANSWER_KEY) from the history, as if they had never arrived.

    The requirements for the transaction and `platform` are those of `ingest_answers`. The current state of the listings
    is derived again from the remaining rows.
    """
    if answers.is_empty():
        return
    lock_platform(conn, platform)
    for round_answers in split_into_arrival_rounds(answers.select(ANSWER_KEY)):
        neighbours = read_neighbours(conn, round_answers)
        followers = neighbours.filter("followed").select("listing_id", "previous_at", "keyframe", observed_at="next_at")
        before = read_books_at(
            conn, followers.filter(~pl.col("keyframe")).select("listing_id", observed_at="previous_at")
        )
        rows = build_history_rows(followers.select(*ANSWER_KEY, "keyframe"), before, read_books_at(conn, followers))
        for table in ("market_changes", "captures"):
            conn.execute(_DELETE_SQL.format(table=table), build_answer_params(round_answers))
        rewrite_changes(conn, followers, rows)
        repair_captures(conn, add_change_counts(followers, rows))
    current_markets.reset_current_markets(conn, answers.get_column("listing_id").to_list())


def lock_platform(conn: psycopg.Connection[Any], platform: str | None) -> None:
    """Make other writers of this platform wait until the transaction ends; with None no writer waits."""
    if platform is not None:
        conn.execute("select pg_advisory_xact_lock(%s, hashtext(%s))", [AdvisoryLock.PLATFORM_HISTORY, platform])


def validate_input(captures: pl.DataFrame, rows: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Check both inputs of `ingest_answers` and return them with their schemas.

    Raises ValueError, which names the first wrong key, for a null, a duplicate, a row without an answer or an unknown
    state.
    """
    captures = captures.select(pl.col(name).cast(kind) for name, kind in CAPTURE_INPUT_SCHEMA.items())
    rows = rows.select(pl.col(name).cast(kind) for name, kind in CONTENT_SCHEMA.items())
    for frame in (captures, rows):
        nulls = [name for name, n in frame.null_count().row(0, named=True).items() if n] if frame.height else []
        if nulls:
            raise ValueError(f"null in {', '.join(nulls)}: the history uses these columns as keys and compares them")
    offences = {
        "answers given twice": captures.filter(captures.select(ANSWER_KEY).is_duplicated()),
        "markets given twice for one answer": rows.filter(rows.select(*ANSWER_KEY, *LINE_KEY_SCHEMA).is_duplicated()),
        "rows without their answer": rows.join(captures, on=ANSWER_KEY, how="anti"),
        f"states other than {', '.join(ANSWERABLE_STATES)}": rows.filter(~pl.col("state").is_in(ANSWERABLE_STATES)),
    }
    for problem, offenders in offences.items():
        if offenders.height:
            raise ValueError(f"{offenders.height} {problem}, e.g. {offenders.row(0, named=True)}")
    return captures, rows


def split_into_arrival_rounds(answers: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Split answers into frames in order of time, with at most one answer per listing in each frame.

    `answers` has ANSWER_KEY and may have more columns.
    """
    numbered = answers.with_columns(turn=pl.col("observed_at").rank("ordinal").over("listing_id"))
    for number in range(1, int(numbered.select(pl.col("turn").max()).item()) + 1):
        yield numbered.filter(pl.col("turn") == number).drop("turn")


def _ingest_round(conn: psycopg.Connection[Any], captures: pl.DataFrame, books: pl.DataFrame) -> IngestStats:
    """Write answers, at most one per listing, and return the counts.

    `captures` lacks keyframe and n_changed, which are computed here. `books` are the books of the answers.
    """
    newest = read_frame(conn, NEWEST_SQL, {"listings": captures.get_column("listing_id").to_list()})
    answers = captures.select(ANSWER_KEY).join(newest, on="listing_id", how="left")
    is_newest = (pl.col("observed_at") > pl.col("newest_at")).fill_null(True)
    before = current_markets.read_current_books(
        conn, answers.get_column("listing_id").to_list(), answered_ids=newest.get_column("listing_id").to_list()
    )
    newest_answers, late_answers = answers.filter(is_newest), answers.filter(~is_newest)
    written, n_rows = append_newest(
        conn, captures, newest_answers, select_listings(before, newest_answers), select_listings(books, newest_answers)
    )
    if late_answers.height:
        late_captures, n_late_rows = insert_late(
            conn, captures, late_answers.select(ANSWER_KEY), select_listings(books, late_answers)
        )
        written, n_rows = pl.concat([written, late_captures]), n_rows + n_late_rows
    changed = written.filter(~pl.col("keyframe")).get_column("n_changed").sum()
    return IngestStats(written.height, int(written.get_column("keyframe").sum()), int(changed), n_rows)


def append_newest(
    conn: psycopg.Connection[Any],
    captures: pl.DataFrame,
    answers: pl.DataFrame,
    before: pl.DataFrame,
    after: pl.DataFrame,
) -> tuple[pl.DataFrame, int]:
    """Write answers that are newer than all stored answers of their listing.

    `answers` has ANSWER_KEY and newest_at, the instant of the listing's newest stored answer (null without one).
    `before` has the current books of the listings, `after` those of the answers. Returns the captures and the number of
    history rows written.
    """
    is_first = (pl.col("newest_at").dt.date() < pl.col("observed_at").dt.date()).fill_null(True)
    answers = answers.select(*ANSWER_KEY, keyframe=is_first)
    differences = diff_books(before, after).join(answers, on="listing_id")
    keyframe_rows = select_listings(after, answers.filter("keyframe")).join(answers, on="listing_id")
    rows = pl.concat([differences.filter(~pl.col("keyframe")), keyframe_rows]).select(list(ROW_SCHEMA))
    copy_rows(conn, "core.market_changes", rows.sort(*ANSWER_KEY, "line_id"))
    current_markets.advance_markets(conn, differences.drop("keyframe").rename({"observed_at": "changed_at"}))
    return write_captures(conn, captures, add_change_counts(answers, rows)), rows.height


def insert_late(
    conn: psycopg.Connection[Any], captures: pl.DataFrame, answers: pl.DataFrame, books: pl.DataFrame
) -> tuple[pl.DataFrame, int]:
    """Write answers that arrived late or again, and correct the rows of the next answers.

    `captures` and `answers` are as in `append_newest`; `books` are the books of the answers. Returns the captures and
    the number of history rows written.
    """
    neighbours = read_neighbours(conn, answers)
    followers = neighbours.filter("followed").select("listing_id", observed_at="next_at", keyframe=pl.lit(False))
    previous = neighbours.filter(~pl.col("keyframe")).select("listing_id", observed_at="previous_at")
    own_rows = build_history_rows(neighbours.select(*ANSWER_KEY, "keyframe"), read_books_at(conn, previous), books)
    follower_rows = build_history_rows(followers, select_listings(books, followers), read_books_at(conn, followers))
    new_rows = own_rows.join(neighbours.filter(~pl.col("stored")), on=ANSWER_KEY, how="semi")
    copy_rows(conn, "core.market_changes", new_rows.sort(*ANSWER_KEY, "line_id"))
    stored_answers = neighbours.filter("stored")
    n_rows = new_rows.height + rewrite_changes(
        conn,
        pl.concat([stored_answers.select(ANSWER_KEY), followers.select(ANSWER_KEY)]),
        pl.concat([own_rows, follower_rows]),
    )
    repair_captures(conn, add_change_counts(followers, follower_rows))
    if stored_answers.height:
        conn.execute(_DELETE_SQL.format(table="captures"), build_answer_params(stored_answers))
    written = write_captures(conn, captures, add_change_counts(neighbours, own_rows))
    current_markets.apply_late_answers(conn, neighbours, books)
    return written, n_rows


def read_neighbours(conn: psycopg.Connection[Any], answers: pl.DataFrame) -> pl.DataFrame:
    """Add to each answer (ANSWER_KEY) whether it is stored, and the previous and the next stored answer.

    `previous_at` and `next_at` are the instants of the two stored answers, on any day. `keyframe` is true when the day
    has no earlier answer, `followed` when the day has a later answer.
    """
    day = pl.col("observed_at").dt.date()
    return read_frame(conn, _NEIGHBOURS_SQL, build_answer_params(answers)).with_columns(
        keyframe=(pl.col("previous_at").dt.date() < day).fill_null(True),
        followed=(pl.col("next_at").dt.date() == day).fill_null(False),
    )


def read_books_at(conn: psycopg.Connection[Any], answers: pl.DataFrame) -> pl.DataFrame:
    """Return the books (BOOK_SCHEMA) of stored answers, at most one answer per listing."""
    if answers.is_empty():
        return pl.DataFrame(schema=BOOK_SCHEMA)
    return read_frame(conn, _BOOKS_SQL, build_answer_params(answers))


def build_answer_params(answers: pl.DataFrame) -> dict[str, Any]:
    """Return the keys of answers as query parameters, with their earliest and latest instant.

    The two instants let Postgres skip the partitions of other days.
    """
    return {
        "listings": answers.get_column("listing_id").to_list(),
        "instants": answers.get_column("observed_at").to_list(),
        "first": answers.get_column("observed_at").min(),
        "last": answers.get_column("observed_at").max(),
    }


def rewrite_changes(conn: psycopg.Connection[Any], answers: pl.DataFrame, rows: pl.DataFrame) -> int:
    """Make the stored rows of the answers (ANSWER_KEY) equal to `rows`; return the number of rows written.

    `rows` (ROW_SCHEMA) may also contain rows of other answers, which are ignored. Answers whose rows are already equal
    are not written.
    """
    if answers.is_empty():
        return 0
    new_rows = rows.join(answers, on=ANSWER_KEY, how="semi")
    stale = find_differing_answers(read_frame(conn, ROWS_SQL, build_answer_params(answers)), new_rows)
    if stale.is_empty():
        return 0
    conn.execute(_DELETE_SQL.format(table="market_changes"), build_answer_params(stale))
    return copy_rows(
        conn, "core.market_changes", new_rows.join(stale, on=ANSWER_KEY, how="semi").sort(*ANSWER_KEY, "line_id")
    )


def write_captures(conn: psycopg.Connection[Any], captures: pl.DataFrame, change_counts: pl.DataFrame) -> pl.DataFrame:
    """Append the captures whose keys are in `change_counts`, and return them.

    `change_counts` has ANSWER_KEY, keyframe and n_changed.
    """
    written = captures.join(change_counts, on=ANSWER_KEY)
    copy_rows(conn, "core.captures", written.sort(ANSWER_KEY))
    return written


def add_change_counts(answers: pl.DataFrame, rows: pl.DataFrame) -> pl.DataFrame:
    """Add n_changed to the answers (ANSWER_KEY, keyframe): the number of rows of each answer."""
    counts = rows.group_by(ANSWER_KEY).agg(n_changed=pl.len().cast(pl.Int32))
    return (
        answers.select(*ANSWER_KEY, "keyframe")
        .join(counts, on=ANSWER_KEY, how="left")
        .with_columns(pl.col("n_changed").fill_null(0))
    )


def repair_captures(conn: psycopg.Connection[Any], change_counts: pl.DataFrame) -> None:
    """Set keyframe and n_changed of stored captures to the values in `change_counts`."""
    if change_counts.height:
        repair = {
            "keyframes": change_counts.get_column("keyframe").to_list(),
            "changes": change_counts.get_column("n_changed").to_list(),
        }
        conn.execute(REPAIR_CAPTURES_SQL, {**build_answer_params(change_counts), **repair})
