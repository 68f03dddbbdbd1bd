"""The days that were exported, as Dagster's log of materializations remembers them: for a database that has no record
of its own yet.

Belongs here: reading that log. Does not: what the days are compared with (`export_root`).
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Final

import dagster as dg

from palimpsest_pipeline.defs.instance import open_instance
from palimpsest_pipeline.settings import Settings
from palimpsest_pipeline.storage.archive import RecordedDay

EXPORT_ASSET: Final = dg.AssetKey(["report", "odds_history_export"])
PAGE_ROWS: Final = 1000
"""Materializations that are read from Dagster's storage at a time."""


def read_materialized_exports(settings: Settings) -> list[RecordedDay]:
    """Return the days that the asset of the export has written, each as it was written last.

    Days without an answer have no file: left out.
    """
    with open_instance(settings) as instance:
        return list(_read_days(instance))


def _read_days(instance: dg.DagsterInstance) -> Iterator[RecordedDay]:
    seen: set[str] = set()
    cursor: str | None = None
    while True:
        page = instance.fetch_materializations(EXPORT_ASSET, limit=PAGE_ROWS, cursor=cursor)
        for record in page.records:
            event = record.asset_materialization
            if event is None or event.partition is None or event.partition in seen:
                continue
            seen.add(event.partition)
            if "path" in event.metadata:
                n_captures = event.metadata["captures"].value
                assert isinstance(n_captures, int)
                yield RecordedDay(
                    date.fromisoformat(event.partition), datetime.fromtimestamp(record.timestamp, UTC), n_captures
                )
        if not page.has_more:
            return
        cursor = page.cursor
