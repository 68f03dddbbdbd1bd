"""Alerts to traders, row for row against the SQL file beside this one.

For the small world of a test and for large ones.
"""

from collections import Counter
from pathlib import Path
from typing import Final

import psycopg
from polars.testing import assert_frame_equal

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts.derive_odds_alerts import build_rules
from palimpsest_pipeline.storage.db.copy_frames import read_frame
from palimpsest_pipeline.storage.marts import odds_alert_rows
from palimpsest_pipeline_tests.storage.table_rows import read_table

STEPS: Final = (Path(__file__).parent / "odds_alert.sql").read_text().split(";\n")
KEY: Final = ("alert_type", "platform", "competitor", "sr_id", "market_key", "specifier", "opened_at")
FIGURES: Final = (
    "outcome_key",
    "severity",
    "peak_at",
    "closed_at",
    "baseline_odds",
    "current_odds",
    "change_rel",
    "peak_change_rel",
)
FIGURES_OF_OTHER: Final = ("competitor_odds", "competitor_change_rel")


def assert_alerts_as_by_sql(pipeline: Pipeline) -> Counter[str]:
    """The rows of mart.odds_alert are those that the SQL computes from core; returns how many there are of each type.

    Everything that is due must have been derived.
    """
    asked = build_rules(pipeline)
    names = [*KEY, *FIGURES, *FIGURES_OF_OTHER]
    with pipeline.connect() as conn:
        params = {
            "home": pipeline.settings.home_platform,
            "known_until": odds_alert_rows.read_known_until(conn),
            "main_markets": list(asked.main_markets),
            **dict(zip(("low", "medium", "high"), asked.levels, strict=True)),
            "calm": asked.calm_share,
            "max_odds": asked.max_odds,
            "markets": None if asked.markets is None else list(asked.markets),
            "window_s": asked.window.total_seconds(),
            "skew_s": asked.max_skew.total_seconds(),
            "silence_s": asked.silence_limit.total_seconds(),
            "watched_s": asked.watch_before_kickoff.total_seconds(),
        }
        found = read_table(conn, odds_alert_rows.ODDS_ALERT_TABLE).select(names).sort(KEY)
        conn.execute("set local work_mem = '64MB'")
        for step in STEPS[:-1]:
            psycopg.ClientCursor(conn).execute(step, params)
        expected = read_frame(conn, STEPS[-1], params).select(found.columns).cast(dict(found.schema)).sort(KEY)
    assert_frame_equal(
        found, expected, check_exact=False, rel_tol=1e-9, abs_tol=2e-9
    )  # a ninth decimal may be rounded either way
    return Counter(found["alert_type"])
