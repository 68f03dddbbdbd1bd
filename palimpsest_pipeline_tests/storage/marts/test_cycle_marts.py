"""Rows derived per cycle are replaced by cycle id."""

from datetime import UTC, datetime

import polars as pl
import psycopg
import pytest

from palimpsest_pipeline.storage.marts import cycle_marts
from palimpsest_pipeline.tables.frame_types import get_frame_schema

TABLE = "mart.run_quality"


def quality(cycle_id: int, change_ratio: float | None = 0.25, **changes: object) -> pl.DataFrame:
    row = {
        "cycle_id": cycle_id,
        "platform": "betpawa",
        "stage": "capture",
        "as_of": datetime(2026, 5, 1, tzinfo=UTC),
        "declared": None,
        "discovered": 1,
        "fetched": 2,
        "parsed": 2,
        "rejected": 0,
        "ages_ignored": 0,
        "stored": 2,
        "changed": 1,
        "confirmed": 3,
        "errors_by_class": '{"transient": 2}',
        "p50_ms": 1.5,
        "p95_ms": None,
        "bytes": 2**40,
        "wall_s": 3.5,
        "change_ratio": change_ratio,
        "drop_vs_median": -0.5,
        "completeness": "complete",
        "blocked_downstream": False,
        "mapping_version": "1",
        **changes,
    }
    schema = {name: kind for name, kind in get_frame_schema(TABLE).items() if name in row}
    return pl.DataFrame([row], schema=schema)


def test_a_cycle_is_replaced_and_no_other_is_touched(conn: psycopg.Connection) -> None:
    cycle_marts.replace_cycle_rows(conn, TABLE, 1, quality(1))
    cycle_marts.replace_cycle_rows(conn, TABLE, 2, quality(2))
    cycle_marts.replace_cycle_rows(conn, TABLE, 1, quality(1, None, stage="storage"))
    assert cycle_marts.read_mart_rows(conn, TABLE, 1).select(
        "stage", "change_ratio", "drop_vs_median", "bytes"
    ).rows() == [("storage", None, -0.5, 2**40)]
    assert cycle_marts.read_mart_rows(conn, TABLE, 2).select("stage", "change_ratio").rows() == [("capture", 0.25)]
    assert cycle_marts.read_mart_rows(conn, TABLE, 2)["computed_at"].null_count() == 0
    cycle_marts.replace_cycle_rows(conn, TABLE, 1, quality(1).clear())
    assert cycle_marts.read_mart_rows(conn, TABLE, 1).is_empty()


def test_rows_of_another_cycle_or_shape_are_refused_before_anything_is_written(conn: psycopg.Connection) -> None:
    cycle_marts.replace_cycle_rows(conn, TABLE, 1, quality(1))
    with pytest.raises(ValueError, match="other cycles"):
        cycle_marts.replace_cycle_rows(conn, TABLE, 1, quality(2))
    with pytest.raises(ValueError, match="stage, stages"):
        cycle_marts.replace_cycle_rows(conn, TABLE, 1, quality(1).rename({"stage": "stages"}))
    assert cycle_marts.read_mart_rows(conn, TABLE, 1).height == 1


def test_a_percentage_in_a_ratio_is_an_error(conn: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        cycle_marts.replace_cycle_rows(conn, TABLE, 1, quality(1, 25.0))
