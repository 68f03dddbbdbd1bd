"""What all tables share: naming of constraints, column kinds with their Postgres types, and how a comment becomes
obligatory.
"""

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import DeclarativeBase, MappedColumn, mapped_column

SCHEMAS: Final = ("ops", "core", "mart", "palimpsest")
"""Every schema of ours, in order of creation; `palimpsest` holds views only."""

Instant = Annotated[datetime, mapped_column(sa.TIMESTAMP(timezone=True))]
Ratio = Annotated[Decimal, mapped_column(sa.Numeric(12, 8))]
Odds = Annotated[Decimal, mapped_column(sa.Numeric(10, 3))]
BigInt = Annotated[int, mapped_column(sa.BigInteger)]
SmallInt = Annotated[int, mapped_column(sa.SmallInteger)]
Text = Annotated[str, mapped_column(sa.Text)]
TextArray = Annotated[list[str], mapped_column(pg.ARRAY(sa.Text))]
BigIntArray = Annotated[list[int], mapped_column(pg.ARRAY(sa.BigInteger))]
IntArray = Annotated[list[int], mapped_column(pg.ARRAY(sa.Integer))]
Json = Annotated[dict[str, Any], mapped_column(pg.JSONB)]


class Base(DeclarativeBase):
    """Root of all models."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


def column(comment: str, *, foreign_key: str | None = None, **options: Any) -> MappedColumn[Any]:
    """A column with its meaning; nullability comes from the annotation."""
    references = () if foreign_key is None else (sa.ForeignKey(foreign_key),)
    return mapped_column(*references, comment=comment, **options)


def key(comment: str, **options: Any) -> MappedColumn[Any]:
    """A column of the primary key. Values are given, never drawn from a sequence, unless `autoincrement` says so."""
    return column(comment, primary_key=True, **{"autoincrement": False, **options})


def text_enum(vocabulary: type[StrEnum], name: str | None = None) -> sa.Enum:
    """Text restricted to a closed vocabulary by a check constraint.

    `name`: of the constraint, without its table; default: the vocabulary's class name in lower case. Give one where the
    constraint was named before the class was, and for a table's second column of the same vocabulary.
    """
    return sa.Enum(
        vocabulary,
        values_callable=lambda members: [m.value for m in members],
        native_enum=False,
        create_constraint=True,
        length=24,
        name=name or vocabulary.__name__.lower(),
    )


def native_enum(vocabulary: type[StrEnum], name: str, schema: str) -> sa.Enum:
    """A type of its own for a closed vocabulary: four bytes a value in large tables, and still a word in plain SQL."""
    return sa.Enum(vocabulary, values_callable=lambda members: [m.value for m in members], name=name, schema=schema)


def ratio_checks(*columns: str) -> tuple[sa.CheckConstraint, ...]:
    """Ratios lie in [0, 1]: a percentage in such a column is an error, not a display choice."""
    return tuple(sa.CheckConstraint(f"{c} between 0 and 1", name=f"{c}_is_ratio") for c in columns)
