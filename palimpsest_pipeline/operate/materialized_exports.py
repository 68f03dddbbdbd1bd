"""The exported days according to Dagster's log of materializations.

They are used by a database that does not have its own record yet. Belongs here: reading that log. Does not belong here:
comparing the days (`export_root`).
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
"""Number of materializations per query of Dagster's storage."""


def read_materialized_exports(settings: Settings) -> list[RecordedDay]:
    """Return the days that the export asset has written, each in its newest version.

    Days without any answer have no file and are left out.
    """
    with open_instance(settings) as instance:
        return list(_read_days(instance))


def _read_days(instance: dg.DagsterInstance) -> Iterator[RecordedDay]:
    days_seen: set[str] = set()
    cursor: str | None = None
    while True:
        page = instance.fetch_materializations(EXPORT_ASSET, limit=PAGE_ROWS, cursor=cursor)
        for record in page.records:
            event = record.asset_materialization
            if event is None or event.partition is None or event.partition in days_seen:
                continue
            days_seen.add(event.partition)
            if "path" in event.metadata:
                n_captures = event.metadata["captures"].value
                assert isinstance(n_captures, int)
                yield RecordedDay(
                    date.fromisoformat(event.partition), datetime.fromtimestamp(record.timestamp, UTC), n_captures
                )
        if not page.has_more:
            return
        cursor = page.cursor
