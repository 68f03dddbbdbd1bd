"""Rows of the life of fixtures leave together: those of a date, and those of a moved fixture on every other date."""

from datetime import timedelta

import pytest

from palimpsest_pipeline.storage.marts import lifecycle_rows
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline
from palimpsest_pipeline_tests.storage.table_rows import AT, insert, read_table

TODAY, LATER = AT.date(), AT.date() + timedelta(days=1)


@pytest.mark.parametrize("table", lifecycle_rows.FIXTURE_TABLES)
def test_a_moved_fixture_leaves_no_row_on_its_former_date(make_pipeline: MakePipeline, table: str) -> None:
    with make_pipeline().connect() as conn, conn.transaction(force_rollback=True):
        rows = ((1, TODAY), (2, TODAY), (3, LATER), (4, LATER))
        insert(conn, table, *({"sr_id": sr_id, "kickoff_date": day} for sr_id, day in rows))
        lifecycle_rows.delete_rows_of_date(conn, TODAY, [3])
        assert read_table(conn, table)["sr_id"].to_list() == [4]
