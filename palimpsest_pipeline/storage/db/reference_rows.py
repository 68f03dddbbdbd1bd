"""Reference rows: sports and the market vocabulary, written by the migration step.

The meaning of an id never changes.
"""

from dataclasses import dataclass, fields
from typing import Final

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.errors import PalimpsestError

from .copy_frames import copy_to_temp_table, quote_identifier
from .line_names import rename_lines


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


@dataclass(frozen=True, slots=True)
class _TableKind:
    table: str
    key: tuple[str, ...]
    meaning: tuple[str, ...]
    """Columns that must never change for an existing key."""


TABLE_KINDS: Final = {
    "sports": _TableKind("core.sports", ("sport",), ()),
    "markets": _TableKind("core.markets", ("market_id",), ("market_key", "sport")),
    "outcomes": _TableKind("core.market_outcomes", ("market_id", "ordinal"), ("outcome_key",)),
}


def write_reference_rows(conn: psycopg.Connection, reference: ReferenceRows) -> dict[str, int]:
    """Insert or correct the rows and return the number of changed rows per table.

    Stored rows that the frame lacks stay. When markets or outcomes change, the names of lines are updated too
    (`line_names`). The schema must be the newest. Raises ReferenceConflictError when a market id or an outcome ordinal
    would change its meaning.
    """
    changed = {}
    for entry in fields(reference):
        frame: pl.DataFrame | None = getattr(reference, entry.name)
        if frame is not None:
            changed[entry.name] = _upsert_rows(conn, TABLE_KINDS[entry.name], frame)
    if changed.get("markets") or changed.get("outcomes"):
        rename_lines(conn)
    return changed


def _upsert_rows(conn: psycopg.Connection, kind: _TableKind, frame: pl.DataFrame) -> int:
    copy_to_temp_table(conn, "reference_rows", kind.table, frame)
    table = quote_identifier(kind.table)
    same_key = sql.SQL(" and ").join(sql.SQL("t.{0} = r.{0}").format(sql.Identifier(c)) for c in kind.key)
    if kind.meaning:
        differs_in_meaning = sql.SQL(" or ").join(
            sql.SQL("t.{0} <> r.{0}").format(sql.Identifier(c)) for c in kind.meaning
        )
        query = sql.SQL("select r::text, t::text from reference_rows r join {} t on {} where {} limit 5").format(
            table, same_key, differs_in_meaning
        )
        if conflicts := conn.execute(query).fetchall():
            conflicts_text = "; ".join(f"{new} would replace {old}" for new, old in conflicts)
            raise ReferenceConflictError(
                f"{kind.table}: {', '.join(kind.key)} is append-only and must keep its {', '.join(kind.meaning)}: "
                f"{conflicts_text}"
            )
    values = [c for c in frame.columns if c not in kind.key]
    statement = sql.SQL(
        "insert into {table} as t ({columns}) select {columns} from reference_rows "
        "on conflict ({key}) do update set {set} where {differs}"
    )
    cursor = conn.execute(
        statement.format(
            table=table,
            columns=_join_names(frame.columns),
            key=_join_names(kind.key),
            set=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(c)) for c in values),
            differs=sql.SQL(" or ").join(
                sql.SQL("t.{0} is distinct from excluded.{0}").format(sql.Identifier(c)) for c in values
            ),
        )
    )
    return cursor.rowcount


def _join_names(columns: tuple[str, ...] | list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
