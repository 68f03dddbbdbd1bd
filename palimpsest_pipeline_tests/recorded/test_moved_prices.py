"""Recorded answers, derived with the vocabulary as it was before bets were split and lines named, and then again:
prices move to their new keys.
"""

import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import dagster as dg
import pytest
from rich.console import Console

from palimpsest_pipeline.operate.backfill.backfill import BackfillReport, run_backfill
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.replay_plan import plan_hours
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.storage.derivation.due_products import DueReason
from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA
from palimpsest_pipeline_tests.fixtures.recordings import listing_id_in
from palimpsest_pipeline_tests.fixtures.vocabularies import edited

ANSWERS: Final = (
    ("bet9ja/getevent_soccer_norway_france.json", "bet9ja", "2026-06-26T10:25:00Z"),
    ("sportybet/event_prematch_football_norway_france_974_markets.json", "sportybet", "2026-06-26T10:21:30Z"),
    ("bet9ja/getevent_soccer_qatar_sudan_suspended_prices.json", "bet9ja", "2026-05-21T15:25:00Z"),
)
LANDED, EXPIRED = datetime(2026, 6, 26, 10, tzinfo=UTC), datetime(2026, 5, 21, 15, tzinfo=UTC)
BEFORE: Final = {
    "player_yellow_card_only": "player_booked",
    "home_sending_off_incl_et": "home_sending_off",
    "away_sending_off_incl_et": "away_sending_off",
}
"""Market to the market with which it shared a key."""
LINED: Final = (
    "exact_goals",
    "exact_goals_1h",
    "exact_goals_2h",
    "home_exact_goals",
    "away_exact_goals",
    "goal_range",
    "winning_margin",
)
PRICES: Final = """
    select e.platform, k.market_key, l.specifier, m.odds_milli, c.mapping_version
    from core.captures c
    join core.market_changes m using (listing_id, observed_at)
    join ops.market_lines l using (line_id)
    join core.markets k using (market_id)
    join core.event_listings e using (listing_id)
    where k.market_key = any(%s) and date_trunc('hour', observed_at) = %s order by 1, 2, 3
"""
Prices = dict[tuple[str, str, str], list[list[int | None]]]


def _as_before(name: str, row: dict[str, str]) -> None:
    """The row as it was in the edition before."""
    lined = row.get("market_key") in LINED
    if name in ("keys.csv", "outcome_keys.csv"):
        row["market_key"] = BEFORE.get(row["market_key"], row["market_key"])
    if name == "keys.csv" and lined:
        ignored = "variant" if row["reads"] else ""
        row.update(reads="", adds="", ignores=ignored)
    if name == "markets.csv" and lined:
        row["line_kind"] = "none"


@dataclass
class Moved:
    """Prices by platform, market and specifier: of each hour as they were, and after everything stale was derived
    again.
    """

    before: dict[datetime, Prices]
    after: dict[datetime, Prices]
    why: dict[datetime, set[DueReason]]
    report: BackfillReport
    versions: dict[datetime, set[str]]


def _prices(pipeline: Pipeline, hour: datetime) -> tuple[Prices, set[str]]:
    found: Prices = {}
    versions = set()
    with pipeline.connect() as conn:
        for platform, market, specifier, odds, version in conn.execute(
            PRICES, [[*BEFORE, *BEFORE.values(), *LINED], hour]
        ):
            found.setdefault((platform, market, specifier), []).append(odds)
            versions.add(version)
    return found, versions


@pytest.fixture(scope="module")
def moved(samples: Path, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moved]:
    folder = tmp_path_factory.mktemp("recordings")
    entries = []
    for file, platform, received_at in ANSWERS:
        shutil.copy(samples / file, folder / Path(file).name)
        external_id = listing_id_in(samples / file, platform)
        entries.append(
            {
                "file": Path(file).name,
                "platform": platform,
                "kind": "detail",
                "external_id": external_id,
                "received_at": received_at,
            }
        )
    (folder / "manifest.json").write_text(json.dumps(entries))
    with pipelines(postgres, tmp_path_factory.mktemp("moved")) as make:
        now, old = make(), make()
        old.__dict__["vocabulary"] = edited(tmp_path_factory.mktemp("before") / "vocabulary", _as_before)
        import_recorded(now, folder, BET9JA)
        for hour in (EXPIRED, LANDED):
            outcome = run_here(old, "replay", hour.date(), hours=(hour, hour))
            assert outcome.success, outcome.error
        before = {hour: _prices(old, hour)[0] for hour in (EXPIRED, LANDED)}
        shutil.rmtree(Path(now.settings.landing_root) / f"date={EXPIRED:%Y-%m-%d}")
        hours = plan_hours(now)
        why = {hour.begins_at: set(hour.due.values()) for hour in hours}
        with dg.DagsterInstance.ephemeral() as instance:
            report = run_backfill(now, instance, hours, Console(file=io.StringIO()), stale_only=True)
        after = {hour: _prices(now, hour) for hour in (EXPIRED, LANDED)}
        versions = {hour: found[1] for hour, found in after.items()}
        yield Moved(before, {hour: found[0] for hour, found in after.items()}, why, report, versions)


def _keys(prices: Prices) -> set[tuple[str, str]]:
    return {(platform, market) for platform, market, _ in prices}


def test_another_edition_of_the_vocabulary_makes_the_landed_hour_stale(moved: Moved) -> None:
    assert moved.why[LANDED] == {DueReason.MAPPING}
    assert moved.report.done == [f"{LANDED:%Y-%m-%d-%H:00}"]


def test_prices_of_a_split_bet_move_from_the_old_key_to_the_new_one(moved: Moved) -> None:
    before, after = moved.before[LANDED], moved.after[LANDED]
    expected = {
        ("bet9ja", "home_sending_off"): "home_sending_off_incl_et",
        ("bet9ja", "away_sending_off"): "away_sending_off_incl_et",
        ("sportybet", "player_booked"): "player_yellow_card_only",
    }
    assert expected.keys() <= _keys(before)
    assert not expected.keys() & _keys(after)
    for (platform, old), new in expected.items():
        odds = sorted(row for key, rows in before.items() if key[:2] == (platform, old) for row in rows)
        assert odds
        assert odds == sorted(row for key, rows in after.items() if key[:2] == (platform, new) for row in rows)
    # What was not split stays where it was.
    assert after["sportybet", "home_sending_off", ""] == before["sportybet", "home_sending_off", ""]


def test_prices_of_a_market_that_got_lines_move_to_their_line(moved: Moved) -> None:
    before, after = moved.before[LANDED], moved.after[LANDED]
    lined = {key for key in before if key[1] in LINED}
    assert {(platform, market) for platform, market, specifier in lined if specifier == ""} == {
        key for key in _keys(before) if key[1] in LINED
    }
    assert ("sportybet", "exact_goals", "top=6") in after
    for key in lined:
        assert key not in after
        (line,) = [new for new in after if new[:2] == key[:2]]
        assert re.fullmatch(r"top=\d", line[2])
        assert after[line] == before[key]


def test_where_the_landing_has_expired_rows_keep_their_old_key_and_their_edition(moved: Moved) -> None:
    assert EXPIRED not in {datetime.strptime(key, "%Y-%m-%d-%H:%M").replace(tzinfo=UTC) for key in moved.report.done}
    assert moved.before[EXPIRED]
    assert moved.after[EXPIRED] == moved.before[EXPIRED]
    assert ("bet9ja", "exact_goals", "") in moved.after[EXPIRED]
    assert moved.versions[EXPIRED].isdisjoint(moved.versions[LANDED])
    assert list(moved.report.refused) == [f"{EXPIRED:%Y-%m-%d-%H:00}"]
