"""The commands about what is kept, as a user meets them."""

import json
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from palimpsest_pipeline.cli.__main__ import app
from palimpsest_pipeline_tests.fixtures.commands import Command, assert_one_clear_line
from palimpsest_pipeline_tests.fixtures.recordings import write_recordings


@pytest.mark.parametrize(
    ("words", "says"), [(("yesterday",), "2026-06-26"), (("2026-06-26", "2026-06-25"), "TO is before FROM")]
)
def test_a_word_that_is_no_day_is_wrong_usage(words: tuple[str, ...], says: str) -> None:
    done = CliRunner().invoke(app, ["export", *words])
    assert done.exit_code == 2
    assert says in done.stderr


def test_an_export_is_forced_day_by_day() -> None:
    done = CliRunner().invoke(app, ["export", "--force"])
    assert done.exit_code == 2
    assert "--force needs the days" in done.stderr


@pytest.mark.slow
def test_recorded_days_are_exported_once_and_sized_and_today_is_refused(
    palimpsest: Command, samples: Path, folder: Path
) -> None:
    recordings = write_recordings(samples, folder / "recordings")
    assert palimpsest("landing", "import", str(recordings)).returncode == 0
    early = palimpsest("export", "2026-06-26")
    assert_one_clear_line(early, "landed and not derived", "palimpsest backfill 2026-06-26-10:00 2026-06-26-10:00")
    assert palimpsest("backfill", "2026-06-26-10:00", "2026-06-26-10:00").returncode == 0

    first = json.loads(palimpsest("export", "--json").stdout)
    assert list(first["exported"]) == ["2026-06-26"]
    written = first["exported"]["2026-06-26"]
    odds = pl.read_parquet(folder / "home" / "export" / "odds" / "date=2026-06-26" / "*.parquet")
    assert odds.height > 0
    assert written["prices"] > 1000
    assert written["bytes_per_price"] == written["bytes"] / written["prices"]
    again = json.loads(palimpsest("export", "2026-06-26", "2026-06-27", "--json").stdout)
    assert again == {
        "exported": {},
        "left": {
            "2026-06-26": "it is the same in Postgres and in the archive",
            "2026-06-27": "no answer was observed on it",
        },
        "failed": {},
    }
    assert_one_clear_line(palimpsest("export", f"{datetime.now(UTC):%Y-%m-%d}"), "is not over", "can be exported from")

    told = json.loads(palimpsest("storage", "--json").stdout)
    figures = told["figures"]
    assert figures["n_prices_in_postgres"] == figures["n_prices_exported"] == written["prices"]
    assert figures["export_bytes"] == written["bytes"]
    assert figures["total_bytes"] == sum(table["total_bytes"] for table in told["tables"])
    (day,) = [row for row in told["days"] if row["n_prices"]]
    assert (day["day"], day["n_answers"], day["export_bytes"]) == ("2026-06-26", 3, written["bytes"])
    shown = palimpsest("storage", COLUMNS="80")
    assert shown.returncode == 0, shown.stderr
    assert "Odds history by day" in shown.stdout
    assert all(len(line) <= 80 for line in shown.stdout.splitlines())

    elsewhere = {"PALIMPSEST_EXPORT_URL": str(folder / "elsewhere")}
    assert_one_clear_line(palimpsest("export", **elsewhere), "cannot be seen", "palimpsest doctor")
    assert not list((folder / "elsewhere").rglob("*.parquet"))
    adopted = palimpsest("export", "--adopt-root", **elsewhere)
    assert adopted.returncode == 0, adopted.stderr
    assert "from now on these days count as never exported: 2026-06-26" in adopted.stderr
    assert (folder / "elsewhere" / "odds" / "date=2026-06-26").exists()
