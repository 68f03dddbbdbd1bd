"""Reference rows: sports, bookmakers and the market vocabulary, written by the migration step. Ids never change their meaning.

Belongs here: writing rows that somebody else knows. Does not: the vocabulary itself.
"""

from dataclasses import dataclass, fields
from typing import Final

import polars as pl
import psycopg
from psycopg import sql

from palimpsest_pipeline.domain.errors import PalimpsestError

from .copy_frames import identifier, stage


class ReferenceConflictError(PalimpsestError, ValueError):
    """A row would give an id that history holds another meaning. The message names the ids."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Rows to write, one frame a table, columns those of the table; None leaves a table as it is."""

    sports: pl.DataFrame | None = None
    bookmakers: pl.DataFrame | None = None
    markets: pl.DataFrame | None = None
    outcomes: pl.DataFrame | None = None


@dataclass(frozen=True, slots=True)
class _Kind:
    table: str
    key: tuple[str, ...]
    meaning: tuple[str, ...]
    """Columns that an existing key may never change."""


KINDS: Final = {
    "sports": _Kind("core.sports", ("sport",), ()),
    "bookmakers": _Kind("core.bookmakers", ("platform",), ()),
    "markets": _Kind("core.markets", ("market_id",), ("market_key", "sport")),
    "outcomes": _Kind("core.market_outcomes", ("market_id", "ordinal"), ("outcome_key",)),
}


def seed(conn: psycopg.Connection, reference: Reference) -> dict[str, int]:
    """Insert or correct the rows; returns how many changed per table. Rows that are missing in the frame stay: ids are append-only.

    Raises ReferenceConflictError when a market id or an outcome ordinal would change its meaning.
    """
    changed = {}
    for entry in fields(reference):
        frame: pl.DataFrame | None = getattr(reference, entry.name)
        if frame is not None:
            changed[entry.name] = _upsert(conn, KINDS[entry.name], frame)
    return changed


def _upsert(conn: psycopg.Connection, kind: _Kind, frame: pl.DataFrame) -> int:
    stage(conn, "reference_rows", kind.table, frame)
    table = identifier(kind.table)
    same_key = sql.SQL(" and ").join(sql.SQL("t.{0} = r.{0}").format(sql.Identifier(c)) for c in kind.key)
    if kind.meaning:
        other = sql.SQL(" or ").join(sql.SQL("t.{0} <> r.{0}").format(sql.Identifier(c)) for c in kind.meaning)
        query = sql.SQL("select r::text, t::text from reference_rows r join {} t on {} where {} limit 5").format(table, same_key, other)
        if conflicts := conn.execute(query).fetchall():
            named = "; ".join(f"{new} would replace {old}" for new, old in conflicts)
            raise ReferenceConflictError(f"{kind.table}: {', '.join(kind.key)} is append-only and must keep its {', '.join(kind.meaning)}: {named}")
    values = [c for c in frame.columns if c not in kind.key]
    statement = sql.SQL(
        "insert into {table} as t ({columns}) select {columns} from reference_rows on conflict ({key}) do update set {set} where {differs}"
    )
    cursor = conn.execute(
        statement.format(
            table=table,
            columns=_names(frame.columns),
            key=_names(kind.key),
            set=sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(c)) for c in values),
            differs=sql.SQL(" or ").join(sql.SQL("t.{0} is distinct from excluded.{0}").format(sql.Identifier(c)) for c in values),
        )
    )
    return cursor.rowcount


def _names(columns: tuple[str, ...] | list[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, columns))
