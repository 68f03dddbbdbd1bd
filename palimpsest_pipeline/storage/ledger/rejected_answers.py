"""Write and count rejected answers per cycle and kind. Callers commit.

The rows are replaced when the answers are parsed again.
"""

from collections.abc import Sequence
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import PayloadKind, Platform
from palimpsest_pipeline.domain.observations import Reject
from palimpsest_pipeline.domain.text_limits import cut_key
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from ..db.copy_frames import copy_rows, read_frame

REJECTS_SCHEMA: Final = get_frame_schema("core.rejects")
REJECT_COUNTS_SQL = """
    select platform, kind, coalesce(sum(occurrences) filter (where whole_answer), 0)::int as n_answers,
           coalesce(sum(occurrences) filter (where not whole_answer), 0)::int as n_entries
    from core.rejects where cycle_id = %s group by platform, kind
"""


def replace_rejects(
    conn: psycopg.Connection,
    cycle_id: int,
    kinds: Sequence[PayloadKind],
    rejects: Sequence[tuple[PayloadKind, Reject, bool]],
    platforms: Sequence[Platform],
) -> int:
    """Replace the rejected answers of a cycle, for these kinds and platforms; return the number of rows.

    Each entry of `rejects` has the kind, the rejection, and whether the whole answer was rejected. Texts are shortened
    to the maximum length of a key.
    """
    conn.execute(
        "delete from core.rejects where cycle_id = %s and kind = any(%s) and platform = any(%s)",
        [cycle_id, [str(k) for k in kinds], [str(p) for p in platforms]],
    )
    rows = [
        (
            cycle_id,
            str(r.platform),
            str(kind),
            cut_key(r.external_id or ""),
            cut_key(r.path),
            cut_key(r.reason),
            is_whole_answer,
            1,
        )
        for kind, r, is_whole_answer in rejects
    ]
    frame = pl.DataFrame(rows, schema=REJECTS_SCHEMA, orient="row")
    return copy_rows(
        conn,
        "core.rejects",
        frame.group_by(pl.exclude("occurrences")).agg(pl.col("occurrences").sum()).select(REJECTS_SCHEMA.keys()),
    )


def count_rejects(conn: psycopg.Connection, cycle_id: int) -> pl.DataFrame:
    """Return the numbers of rejected answers and entries per platform and kind.

    `n_answers` counts answers that were rejected as a whole. `n_entries` counts rejected entries in answers that could
    be parsed.
    """
    return read_frame(conn, REJECT_COUNTS_SQL, [cycle_id])
