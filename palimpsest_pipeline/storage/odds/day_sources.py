"""Read history rows of given days, from Postgres and from the archive, with the same methods.

`history_reader` finds out where each day is stored, and adds names.
"""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.instants import get_day_start
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.tables.frame_types import Schema

from ..archive import Archive
from ..db.copy_frames import read_frame
from . import partitions
from .change_rows import CAPTURE_SCHEMA, CHANGE_SCHEMA
from .history_names import IdFilter

DAY: Final = timedelta(days=1)

_CHANGES_SQL: Final = """
select listing_id, observed_at, line_id, state::text as state, coalesce(off_mask, 0) as off_mask, odds_milli, keyframe
from core.market_changes
where observed_at >= %(from_at)s::timestamptz and observed_at < %(until)s::timestamptz
    and (%(listings)s::int[] is null or listing_id = any(%(listings)s::int[]))
    and (%(lines)s::int[] is null or line_id = any(%(lines)s::int[]))
"""

_CAPTURES_SQL: Final = """
select * from core.captures
where observed_at >= %(from_at)s::timestamptz and observed_at < %(until)s::timestamptz
    and (%(listings)s::int[] is null or listing_id = any(%(listings)s::int[]))
"""

LAST_ANSWERS_SQL: Final = """
select listing_id, max(observed_at) as answered_at
from core.captures
where observed_at >= %(from_at)s::timestamptz and observed_at <= %(until)s::timestamptz
    and (%(listings)s::int[] is null or listing_id = any(%(listings)s::int[]))
group by listing_id
"""

_BOOKS_SQL: Final = """
select asked.listing_id, asked.answered_at, m.line_id, m.state::text as state, coalesce(m.off_mask, 0) as off_mask,
    m.odds_milli, m.observed_at
from unnest(%(listings)s::int[], %(answers)s::timestamptz[]) as asked (listing_id, answered_at)
cross join lateral (
    select distinct on (line_id) line_id, state, off_mask, odds_milli, observed_at
    from core.market_changes
    where listing_id = asked.listing_id and observed_at <= asked.answered_at
        and observed_at >= %(from_at)s::timestamptz and observed_at <= %(until)s::timestamptz
    order by line_id, observed_at desc
) m
"""

ANSWER_INSTANTS_SCHEMA: Final[Schema] = {"listing_id": pl.Int32, "answered_at": INSTANT}
BOOKS_SCHEMA: Final[Schema] = {
    **ANSWER_INSTANTS_SCHEMA,
    "line_id": pl.Int32,
    "state": pl.String,
    "off_mask": pl.Int64,
    "odds_milli": pl.List(pl.Int32),
    "observed_at": INSTANT,
}


class PostgresDays:
    """The odds history of the days in Postgres.

    A query reads the whole range from the first to the last given day. Days of the range that are not in Postgres have
    no rows there.
    """

    def __init__(self, conn: psycopg.Connection[Any]) -> None:
        self._conn = conn

    def list_days(self, days: Sequence[date]) -> list[date]:
        """Return the given days that have rows in Postgres.

        Raises MissingPartitionError for a day for which only one of the two tables has a partition.
        """
        days_with_rows = partitions.find_days_with_rows(self._conn, days)
        partitions.require_partitions(self._conn, days_with_rows)
        return days_with_rows

    def read_changes(self, days: Sequence[date], ids: IdFilter, lines: IdFilter = None) -> pl.DataFrame:
        return read_frame(self._conn, _CHANGES_SQL, {**_build_span(days, ids), "lines": lines})

    def read_captures(self, days: Sequence[date], ids: IdFilter) -> pl.DataFrame:
        return read_frame(self._conn, _CAPTURES_SQL, _build_span(days, ids))

    def read_last_answers(self, from_at: datetime, until: datetime, ids: IdFilter) -> pl.DataFrame:
        """Return each listing's last answer between two instants of one UTC day, both included.

        The result has ANSWER_INSTANTS_SCHEMA.
        """
        return read_frame(self._conn, LAST_ANSWERS_SQL, {"from_at": from_at, "until": until, "listings": ids})

    def read_books(self, day: date, answers: pl.DataFrame) -> pl.DataFrame:
        """Return the valid row of every market at the given answers of a day (BOOKS_SCHEMA).

        `answers` has ANSWER_INSTANTS_SCHEMA.
        """
        if answers.is_empty():
            return pl.DataFrame(schema=BOOKS_SCHEMA)
        params = {
            "listings": answers["listing_id"].to_list(),
            "answers": answers["answered_at"].to_list(),
            "from_at": get_day_start(day),
            "until": answers["answered_at"].max(),
        }
        return read_frame(self._conn, _BOOKS_SQL, params)


class ArchivedDays:
    """The odds history of the days in the archive, with the same methods as `PostgresDays`."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    @property
    def address(self) -> str:
        return self._archive.address

    def list_days(self, days: Sequence[date]) -> list[date]:
        catalogue = self._archive.read_catalogue()
        return sorted(day for day in days if day in catalogue)

    def read_changes(self, days: Sequence[date], ids: IdFilter, lines: IdFilter = None) -> pl.DataFrame:
        rows = self._archive.scan_changes(days, ids)
        return (
            (rows if lines is None else rows.filter(pl.col("line_id").is_in(list(lines))))
            .select(*CHANGE_SCHEMA)
            .collect()
        )

    def read_captures(self, days: Sequence[date], ids: IdFilter) -> pl.DataFrame:
        return self._archive.scan_captures(days, ids).select(*CAPTURE_SCHEMA).collect()

    def read_last_answers(self, from_at: datetime, until: datetime, ids: IdFilter) -> pl.DataFrame:
        rows = self._archive.scan_captures([until.date()], ids).filter(pl.col("observed_at").is_between(from_at, until))
        return (
            rows.group_by("listing_id")
            .agg(answered_at=pl.col("observed_at").max())
            .select(*ANSWER_INSTANTS_SCHEMA)
            .collect()
        )

    def read_books(self, day: date, answers: pl.DataFrame) -> pl.DataFrame:
        if answers.is_empty():
            return pl.DataFrame(schema=BOOKS_SCHEMA)
        rows = self._archive.scan_changes([day], answers["listing_id"].to_list()).filter(
            pl.col("observed_at") <= answers["answered_at"].max()
        )
        return (
            rows.join(answers.lazy(), on="listing_id")
            .filter(pl.col("observed_at") <= pl.col("answered_at"))
            .sort("listing_id", "line_id", "observed_at")
            .unique(["listing_id", "line_id"], keep="last", maintain_order=True)
            .select(*BOOKS_SCHEMA)
            .collect()
        )


DaySource = PostgresDays | ArchivedDays


def _build_span(days: Sequence[date], ids: IdFilter) -> dict[str, Any]:
    return {"from_at": get_day_start(days[0]), "until": get_day_start(days[-1] + DAY), "listings": ids}
