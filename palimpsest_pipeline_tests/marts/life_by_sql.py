"""Tables of the life of a kickoff date, row for row against the SQL files beside this one.

For the small world of a test and for large ones.
"""

import json
from datetime import date
from pathlib import Path
from typing import Final

import polars as pl
from polars.testing import assert_frame_equal, assert_series_equal

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.storage.db.copy_frames import read_frame
from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline_tests.storage.table_rows import read_table

TABLES: Final = ("mart.market_margin", "mart.margin_ttk_bucket", "mart.gap_count")
STAMPS: Final = {"kickoff_date", "home_platform", "as_of", "mapping_version", "computed_at"}
ROUNDED: Final = {"margin_reference_pct"}
"""Rounded to two decimals in the table, and not by the SQL: the two may round a half in different ways."""
FOLDER: Final = Path(__file__).parent


def assert_as_by_sql(pipeline: Pipeline, table: str, day: date) -> int:
    """The date's rows of one of `TABLES` are those that the SQL computes; returns how many."""
    params = {
        "day": day,
        "home": pipeline.settings.home_platform,
        "main_markets": list(pipeline.main_markets),
        "silence_minutes": int(pipeline.settings.not_observed_after_minutes),
    }
    query = (FOLDER / f"{table.partition('.')[2]}.sql").read_text()
    key = [column.name for column in metadata.tables[table].primary_key.columns if column.name not in STAMPS]
    with pipeline.connect() as conn:
        stored = read_table(conn, table, day).drop(STAMPS, strict=False)
        conn.execute(
            "set local enable_nestloop = off"
        )  # nobody has counted the rows of a table just filled, and a join of few and few may be slow
        expected = read_frame(conn, query, params).select(stored.columns).cast(dict(stored.schema))
    found, expected = (_comparable(frame).sort(key) for frame in (stored, expected))
    for name in ROUNDED & set(found.columns):
        assert_series_equal(found[name], expected[name], check_exact=False, rel_tol=0, abs_tol=0.005 + 1e-9)
    found, expected = (frame.drop(ROUNDED, strict=False) for frame in (found, expected))
    assert_frame_equal(found, expected, check_exact=False, rel_tol=1e-9, abs_tol=1e-9)
    return stored.height


def _comparable(frame: pl.DataFrame) -> pl.DataFrame:
    """Numbers within JSON may be written in several ways."""
    if "odds_vector" not in frame.columns:
        return frame
    texts = [json.dumps(json.loads(text, parse_int=float), sort_keys=True) for text in frame["odds_vector"]]
    return frame.with_columns(odds_vector=pl.Series(texts, dtype=pl.String))
