"""The metadata of assets: column schemas of the tables, and figures with uniform names."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import dagster as dg
import sqlalchemy as sa

from palimpsest_pipeline.storage.db.revisions import find_views
from palimpsest_pipeline.tables import metadata as tables

ASSET_OWNER = "team:data-engineering"
TABLE_NAME_KEY: Final = "dagster/table_name"
ALSO_WRITES_KEY: Final = "also_writes"


def build_column_schema(table: str) -> dg.TableSchema:
    """Return Dagster's column schema of `schema.table`, from the model's columns and comments."""
    columns = [
        dg.TableColumn(
            name=column.name,
            type=str(column.type.compile(dialect=sa.dialects.postgresql.dialect())).lower(),
            description=column.comment,
            constraints=dg.TableColumnConstraints(nullable=bool(column.nullable), unique=bool(column.unique)),
        )
        for column in tables.tables[table].columns
    ]
    return dg.TableSchema(columns=columns)


def build_table_metadata(
    table: str, other_tables: Sequence[str] = (), changed_columns: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Any]:
    """Return the metadata of an asset that writes the rows of `table` and of `other_tables`.

    `changed_columns` maps each table whose rows another asset writes to the columns that this asset changes. The
    metadata names the analysts' views that read the tables.
    """
    metadata: dict[str, Any] = {"dagster/column_schema": build_column_schema(table), TABLE_NAME_KEY: table}
    changed = [f"{name} ({', '.join(names)})" for name, names in (changed_columns or {}).items()]
    if other_tables or changed:
        metadata[ALSO_WRITES_KEY] = "; ".join([*other_tables, *changed])  # text, because the UI shows text unchanged
    if views := sorted({view for each in (table, *other_tables) for view in find_views(each)}):
        metadata["sql_views"] = ", ".join(views)
    return metadata


def build_table_spec(
    table: str,
    description: str,
    deps: Sequence[dg.AssetDep | dg.AssetsDefinition],
    *,
    group: str = "mart",
    other_tables: Sequence[str] = (),
    skippable: bool = False,
) -> dg.AssetSpec:
    """Return the Dagster spec of an asset that Polars computes and that writes `table` and `other_tables`."""
    return dg.AssetSpec(
        table.split("."),
        description=description,
        deps=deps,
        group_name=group,
        kinds={"polars", "postgres"},
        metadata=build_table_metadata(table, other_tables),
        skippable=skippable,
    )


def list_written_tables(spec: dg.AssetSpec) -> dict[str, set[str]]:
    """Return the tables that an asset writes according to its metadata, each with its columns.

    The columns are those that the asset changes, or `*` if it writes whole rows.
    """
    written: dict[str, set[str]] = {}
    if TABLE_NAME_KEY in spec.metadata:
        written[str(spec.metadata[TABLE_NAME_KEY])] = {"*"}
    for text in filter(None, str(spec.metadata.get(ALSO_WRITES_KEY, "")).split("; ")):
        name, _, columns = text.partition(" (")
        written[name] = set(columns.removesuffix(")").split(", ")) if columns else {"*"}
    return written


def build_metadata(row_count: int, **numbers: float | str | None) -> dict[str, Any]:
    """Return the metadata of a materialization: row count and figures. Values of None are left out.

    Figures are plain numbers, because Dagster plots numbers by partition.
    """
    return {"dagster/row_count": row_count, **{k: v for k, v in numbers.items() if v is not None}}


def stringify_values(numbers: Mapping[str, object]) -> dict[str, Any]:
    """Return numbers and texts unchanged and other values as text. Values of None are left out."""
    return {k: v if isinstance(v, int | float | str) else str(v) for k, v in numbers.items() if v is not None}
