"""Captured answers with names and ids that Postgres refuses, for a NUL or for length: the cycle is derived, and what
was odd is told.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.landed import import_recorded
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines, rows, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA
from palimpsest_pipeline_tests.fixtures.recordings import write_recordings

HOUR: Final = datetime(2026, 6, 26, 10, tzinfo=UTC)
SHOWN: Final = "\ufffd"
"""What stands for a NUL."""
ENDLESS: Final = Random(1).randbytes(5000).hex()


def betpawa(body: Any) -> None:
    body["participants"][0]["name"] += "\0"
    body["competition"]["name"] = "\0" + body["competition"]["name"]
    first, second, third = body["markets"][:3]
    third["marketType"]["id"] = ENDLESS
    first["marketType"] |= {"id": "3743\0", "name": "1X2\0"}
    second["row"][0]["prices"][0] |= {"typeId": second["row"][0]["prices"][0]["typeId"] + "\0", "name": "\0"}


def sportybet(body: Any) -> None:
    body["data"]["awayTeamName"] += "\0"
    by_id = {market["id"]: market for market in body["data"]["markets"]}
    by_id["18"]["specifier"] = "total=\0"
    by_id["40"]["outcomes"][0]["desc"] += "\0"
    by_id["40"]["outcomes"][1]["id"] += "\0"
    by_id["900069"]["specifier"] += "|\0=\0"
    by_id["1"]["specifier"] = f"{ENDLESS}=1"
    by_id["10"]["outcomes"][0]["id"] = ENDLESS


def bet9ja(body: Any) -> None:
    odds = body["D"]["O"]
    body["D"]["GN"] += "\0"
    odds |= {"S_OU@2.5\0_O": odds.pop("S_OU@2.5_O"), "S_1X2_1\0": odds.pop("S_1X2_1"), "\0": "1.5"}


@pytest.fixture(scope="module")
def derived(samples: Path, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline that took in the fixture of three platforms, spoilt. The tests only read it."""
    folder = write_recordings(samples, tmp_path_factory.mktemp("recordings") / "folder")
    entries = [
        entry
        for entry in json.loads((folder / "manifest.json").read_text())
        if entry["received_at"].startswith("2026-06-26")
    ]
    for entry in entries:
        file = folder / entry["file"]
        body = json.loads(file.read_bytes())
        {"betpawa": betpawa, "sportybet": sportybet, "bet9ja": bet9ja}[entry["platform"]](body)
        file.write_text(json.dumps(body))
    (folder / "manifest.json").write_text(json.dumps(entries))
    with pipelines(postgres, tmp_path_factory.mktemp("nul")) as make:
        pipeline = make()
        import_recorded(pipeline, folder, BETPAWA)
        outcome = run_here(pipeline, "replay", HOUR.date())
        assert outcome.success, outcome.error
        yield pipeline


def test_the_landing_keeps_what_was_sent(derived: Pipeline) -> None:
    bodies = [
        bytes(body)
        for manifest in derived.landing.list_cycles()
        for body in derived.landing.read_answers(manifest, columns=["body"])["body"]
    ]
    assert len(bodies) == 3
    assert all(b"\\u0000" in body and SHOWN.encode() not in body for body in bodies)


def test_names_show_it_and_the_fixture_is_matched(derived: Pipeline) -> None:
    names = rows(derived, "select platform, home_team, away_team, fixture_sr_id from core.event_listings order by 1")
    assert [(platform, SHOWN in home + away) for platform, home, away, _ in names] == [
        ("bet9ja", False),
        ("betpawa", True),
        ("sportybet", True),
    ]
    assert {sr_id for *_, sr_id in names} == {66457014}


def test_ids_with_a_nul_are_unmapped_or_rejected_and_never_another_id(derived: Pipeline) -> None:
    ledger = rows(
        derived,
        f"""select platform, external_market_id, error_class from core.unmapped_markets
            where (external_market_id || sample_specifier || sample_outcomes::text || specifier_schema) like '%{SHOWN}%' order by 1, 2""",
    )
    assert {row for row in ledger if row[0] != "betpawa"} == {
        ("bet9ja", "S_1X2", "no_matching_outcomes"),
        ("bet9ja", "S_OU", "unknown_param"),
        ("sportybet", "18", "unknown_param"),
        ("sportybet", "40", "no_matching_outcomes"),
        ("sportybet", "900069", "unknown_param"),
    }
    assert [(market, why) for platform, market, why in ledger if platform == "betpawa"][-1] == (
        f"3743{SHOWN}",
        "unknown_market",
    )
    assert rows(derived, "select platform, path from core.rejects where platform = 'bet9ja'") == [
        ("bet9ja", f'$.D.O["{SHOWN}"]')
    ]
    assert rows(derived, f"select count(*) from ops.market_lines where (specifier || outcome) like '%{SHOWN}%'") == [
        (0,)
    ]


def test_ids_without_end_are_told_by_their_beginning(derived: Pipeline) -> None:
    beginning = ENDLESS[:200]
    found = rows(
        derived,
        f"""select platform, error_class from core.unmapped_markets
            where '{beginning}' in (external_market_id, specifier_schema) or sample_outcomes::text like '%{beginning}%' order by 1, 2""",
    )
    assert found == [("betpawa", "unknown_market"), ("sportybet", "unknown_param")]


def test_an_outcome_without_end_is_rejected(derived: Pipeline) -> None:
    refused = rows(derived, "select path, reason from core.rejects where platform = 'sportybet'")
    assert [reason for _, reason in refused] == ["an outcome id of 10000 characters: at most 200 are read"]
    assert refused[0][0].endswith(".outcomes[0].id")
