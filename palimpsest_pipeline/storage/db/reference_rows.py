"""Reference rows: sports, the market vocabulary, and the names of lines (ops.line_names).

The meaning of an id never changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.errors import PalimpsestError

from .copy_frames import copy_to_temp_table, quote_identifier


class ReferenceConflictError(PalimpsestError, ValueError):
    """The error when a row would change the meaning of an id that history rows use.

    The message names the ids.
    """


@dataclass(frozen=True, slots=True)
class ReferenceRows:
    """Reference rows to write: one frame per table, or None to leave the table unchanged."""

    sports: pl.DataFrame | None = None
    markets: pl.DataFrame | None = None
    outcomes: pl.DataFrame | None = None


TABLE_KINDS: Final[dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]]] = {
    "sports": ("core.sports", ("sport",), ()),
    "markets": ("core.markets", ("market_id",), ("market_key", "sport")),
    "outcomes": ("core.market_outcomes", ("market_id", "ordinal"), ("outcome_key",)),
}
"""For each kind of rows: table, key, and the columns that must never change for an existing key."""


def write_reference_rows(conn: psycopg.Connection, reference: ReferenceRows) -> dict[str, int]:
    """Insert or correct the rows and return the number of changed rows per table.

    Stored rows that the frame lacks stay. When markets or outcomes change, the names of lines are updated too. The
    schema must be the newest. Raises ReferenceConflictError when a market id or an outcome ordinal would change its
    meaning.
    """
    changed = {}
    for entry in fields(reference):
        frame: pl.DataFrame | None = getattr(reference, entry.name)
        if frame is not None:
            changed[entry.name] = _upsert_rows(conn, *TABLE_KINDS[entry.name], frame)
    if changed.get("markets") or changed.get("outcomes"):
        rename_lines(conn)
    return changed


def _upsert_rows(
    conn: psycopg.Connection, name: str, key: tuple[str, ...], meaning: tuple[str, ...], frame: pl.DataFrame
) -> int:
    copy_to_temp_table(conn, "reference_rows", name, frame)
    table = quote_identifier(name)
    same_key = sql.SQL(" and ").join(sql.SQL("t.{0} = r.{0}").format(sql.Identifier(c)) for c in key)
    if meaning:
        differs_in_meaning = sql.SQL(" or ").join(sql.SQL("t.{0} <> r.{0}").format(sql.Identifier(c)) for c in meaning)
        query = sql.SQL("select r::text, t::text from reference_rows r join {} t on {} where {} limit 5").format(
            table, same_key, differs_in_meaning
        )
        if conflicts := conn.execute(query).fetchall():
            conflicts_text = "; ".join(f"{new} would replace {old}" for new, old in conflicts)
            raise ReferenceConflictError(
                f"{name}: {', '.join(key)} is append-only and must keep its {', '.join(meaning)}: {conflicts_text}"
            )
    values = [c for c in frame.columns if c not in key]
    statement = sql.SQL(
        "insert into {table} as t ({columns}) select {columns} from reference_rows "
        "on conflict ({key}) do update set {set} where {differs}"
    )
    cursor = conn.execute(
        statement.format(
            table=table,
            columns=_join_names(frame.columns),
            key=_join_names(key),
            set=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(c)) for c in values),
            differs=sql.SQL(" or ").join(
                sql.SQL("t.{0} is distinct from excluded.{0}").format(sql.Identifier(c)) for c in values
            ),
        )
    )
    return cursor.rowcount


def _join_names(columns: tuple[str, ...] | list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


# The views use the position in these arrays as the position in price arrays. They are equal because the ordinals of a
# market have no gaps (`markets.canonical_markets` refuses them).
LINE_NAMES_SQL: Final = r"""
insert into ops.line_names as n
    (line_id, winners_k, market_key, market, specifier, outcome_keys, outcomes, outcome_orders)
select
    l.line_id, case when m.fair_sum ~ '^\d+$' then m.fair_sum::smallint end, m.market_key, m.name, l.specifier,
    coalesce(o.keys, '{}'), coalesce(o.names, '{}'), coalesce(o.ordinals, '{}')
from ops.market_lines l
join core.markets m using (market_id)
cross join lateral (
    select array_agg(outcome_key order by ordinal) as keys, array_agg(name order by ordinal) as names,
        array_agg(ordinal order by ordinal) as ordinals
    from core.market_outcomes
    where market_id = l.market_id and (l.outcome = '' or outcome_key = l.outcome)
) o
where %(line_ids)s::int[] is null or l.line_id = any(%(line_ids)s::int[])
order by l.line_id
on conflict (line_id) do update set
    (winners_k, market_key, market, specifier, outcome_keys, outcomes, outcome_orders) =
    (excluded.winners_k, excluded.market_key, excluded.market, excluded.specifier, excluded.outcome_keys,
        excluded.outcomes, excluded.outcome_orders)
where (n.winners_k, n.market_key, n.market, n.specifier, n.outcome_keys, n.outcomes, n.outcome_orders) is distinct from
    (excluded.winners_k, excluded.market_key, excluded.market, excluded.specifier, excluded.outcome_keys,
        excluded.outcomes, excluded.outcome_orders)
"""


def write_line_names(conn: psycopg.Connection[Any], line_ids: Sequence[int] | None = None) -> int:
    """Write the names of the lines in `line_ids`, or of all lines.

    They come from core.markets and core.market_outcomes. Lines whose market is not in core.markets get no row. Returns
    the number of inserted or changed rows. The caller commits.
    """
    return conn.execute(LINE_NAMES_SQL, {"line_ids": None if line_ids is None else list(line_ids)}).rowcount


def rename_lines(conn: psycopg.Connection[Any]) -> None:
    """Update the names of all lines after a change of the vocabulary.

    Locks ops.market_lines until the caller's transaction ends: a line created before the commit would get the old names
    and keep them. Call it last in a transaction: a cycle may wait for this lock while it holds others.
    """
    conn.execute("lock table ops.market_lines in share mode")
    write_line_names(conn)
