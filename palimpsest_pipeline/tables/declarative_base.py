"""The base class of tables, names of constraints, column types and required comments."""

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg
from sqlalchemy.orm import DeclarativeBase, MappedColumn, declared_attr, mapped_column

from palimpsest_pipeline.domain.enums import Platform

SCHEMAS: Final = {
    "ops": "Ledger of cycles and requests, with their results. It is not derived from anything, and no replay "
    "drops it.",
    "core": "The content of the platforms' answers: listings, fixtures, odds history. Derived from the landing.",
    "mart": "Coverage, match rates and run quality, as of each cycle. Derived from core.",
    "palimpsest": "Views for analysts. Start here.",
}
"""Comments of all schemas of the product, in the order of their creation."""

Instant = Annotated[datetime, mapped_column(sa.TIMESTAMP(timezone=True))]
Ratio = Annotated[Decimal, mapped_column(sa.Numeric(12, 8))]
Odds = Annotated[Decimal, mapped_column(sa.Numeric(10, 3))]
BigInt = Annotated[int, mapped_column(sa.BigInteger)]
SmallInt = Annotated[int, mapped_column(sa.SmallInteger)]
Text = Annotated[str, mapped_column(sa.Text)]
TextArray = Annotated[list[str], mapped_column(pg.ARRAY(sa.Text))]
BigIntArray = Annotated[list[int], mapped_column(pg.ARRAY(sa.BigInteger))]
IntArray = Annotated[list[int], mapped_column(pg.ARRAY(sa.Integer))]
SmallIntArray = Annotated[list[int], mapped_column(pg.ARRAY(sa.SmallInteger))]
Json = Annotated[dict[str, Any], mapped_column(pg.JSONB)]

PLATFORM: Final = sa.String(24)
"""The type of a platform's key."""


def text_enum(vocabulary: type[Enum], name: str | None = None) -> sa.Enum:
    """Return a text type with a check constraint that allows only the values of `vocabulary`.

    `name` is the constraint's name without the table name; the default is the vocabulary's class name in lower case.
    Pass a name when the class was renamed after the constraint was created, and for a second column of the same table
    with the same vocabulary.
    """
    return sa.Enum(
        vocabulary,
        values_callable=lambda members: [m.value for m in members],
        native_enum=False,
        create_constraint=True,
        length=24,
        name=name,
    )


class Base(DeclarativeBase):
    """The base class of all table declarations. The docstring of a table is its comment in Postgres.

    A column whose annotation is an enum has the type `text_enum` of it, unless it names another.
    """

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar = {Enum: text_enum(Enum), Platform: PLATFORM, float: sa.Double}
    schema_name: ClassVar[str]
    schema_items: ClassVar[tuple[sa.Constraint | sa.Index, ...]] = ()
    """The constraints and indexes of the table, without its primary key and one-column foreign keys."""
    table_options: ClassVar[dict[str, Any]] = {}
    """Further keyword arguments of `sa.Table`."""

    @declared_attr.directive
    @classmethod
    def __table_args__(cls) -> tuple[Any, ...]:
        comment = " ".join((cls.__doc__ or "").split())
        return (*cls.schema_items, {"schema": cls.schema_name, "comment": comment, **cls.table_options})


class OpsTable(Base):
    """A table of the schema `ops`."""

    __abstract__ = True
    schema_name = "ops"


class CoreTable(Base):
    """A table of the schema `core`."""

    __abstract__ = True
    schema_name = "core"


class MartTable(Base):
    """A table of the schema `mart`."""

    __abstract__ = True
    schema_name = "mart"


def column(comment: str, *, foreign_key: str | None = None, **options: Any) -> MappedColumn[Any]:
    """Return a column with a comment. The annotation decides whether it may be null."""
    references = () if foreign_key is None else (sa.ForeignKey(foreign_key),)
    return mapped_column(*references, comment=comment, **options)


def key(comment: str, **options: Any) -> MappedColumn[Any]:
    """Return a column of the primary key.

    Writers provide its values, unless the option `autoincrement` creates a sequence.
    """
    return column(comment, primary_key=True, **{"autoincrement": False, **options})


def native_enum(vocabulary: type[Enum], name: str, schema: str) -> sa.Enum:
    """Return a Postgres enum type with the values of `vocabulary`.

    A value takes only four bytes, which matters in large tables, and is readable in SQL.
    """
    return sa.Enum(vocabulary, values_callable=lambda members: [m.value for m in members], name=name, schema=schema)


def ratio_checks(*columns: str) -> tuple[sa.CheckConstraint, ...]:
    """Return check constraints that restrict the columns to [0, 1], so a percentage raises an error."""
    return tuple(sa.CheckConstraint(f"{c} between 0 and 1", name=f"{c}_is_ratio") for c in columns)
