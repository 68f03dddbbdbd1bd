"""Answers of all dialects in the audit of markets: books of several answers, and platforms with a like envelope."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import FailureClass, Platform, RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.landing import Landing
from palimpsest_pipeline.markets.audit_occurrences import count_by_platform
from palimpsest_pipeline.pipeline.installed_vocabulary import load_installed_vocabulary
from palimpsest_pipeline.pipeline.market_audit import AuditFilter, AuditResult, audit_markets
from palimpsest_pipeline_tests.fixtures.platforms import BETPAWA, build_adapters
from palimpsest_pipeline_tests.platforms.betway import support as betway
from palimpsest_pipeline_tests.platforms.pack_support import load_pack_sample
from palimpsest_pipeline_tests.platforms.sportpesa import support as sportpesa

HOUR = datetime(2026, 6, 26, 10, tzinfo=UTC)
ALL_PLATFORMS = tuple(
    Platform(key) for key in ("betpawa", "sportybet", "bet9ja", "msport", "betway", "betika", "sportpesa")
)


def audit(landing: Landing | None = None, *places: Path) -> AuditResult:
    return audit_markets(
        [str(place) for place in places],
        landing or Landing("nowhere"),
        build_adapters(ALL_PLATFORMS),
        load_installed_vocabulary(),
        AuditFilter(),
    )


def count_lines(result: AuditResult) -> dict[str, int]:
    return {row["platform"]: row["occurrences"] for row in count_by_platform(result.occurrences).to_dicts()}


def land(root: Path, attempts: Sequence[Sequence[Answer]]) -> Landing:
    landing = Landing(root)
    writer = landing.open_writer(Cycle(20260626100500000, Trigger.MANUAL, Scope.FULL, BETPAWA, HOUR, HOUR))
    for answers in attempts:
        writer.append_together(answers)
    writer.close(RunStatus.COMPLETED, HOUR + timedelta(minutes=9))
    return landing


def test_a_landed_book_of_several_answers_is_read_whole(samples: Path, tmp_path: Path):
    betway_book = betway.list_answers(betway.with_event(samples, "wc_nf.json"))
    sportpesa_book = sportpesa.list_answers(sportpesa.game_of(samples), sportpesa.book_of(samples))
    assert len(betway_book) > len(sportpesa_book) > 1
    result = audit(land(tmp_path, [betway_book, sportpesa_book]))
    assert result.left_out == []
    n_sportpesa = len(sportpesa.detail_of(sportpesa.game_of(samples), sportpesa.book_of(samples)).prices.market_id)
    assert count_lines(result) == {"betway": 223, "sportpesa": n_sportpesa}


def test_the_newest_whole_book_of_a_listing_counts(samples: Path, tmp_path: Path):
    whole = betway.with_event(samples, "wc_nf.json")
    newest = betway.list_answers(betway.shortened(whole, range(0, 233, 2)))
    failed = [replace(one, failure=FailureClass.TRANSIENT, failure_detail="HTTP 503", body=None) for one in newest]
    older = betway.list_answers(whole)
    alone = audit(land(tmp_path / "alone", [newest]))
    both = audit(land(tmp_path / "both", [older, newest, failed]))
    assert both.left_out == []
    assert_frame_equal(both.occurrences, alone.occurrences)
    assert 0 < count_lines(both)["betway"] < 223


def test_a_landed_book_without_a_page_is_named_once_and_the_one_before_counts(samples: Path, tmp_path: Path):
    book = betway.list_answers(betway.with_event(samples, "wc_nf.json"))
    result = audit(land(tmp_path, [book, book[:1]]))
    assert [(x.where, x.is_in_play) for x in result.left_out] == [("cycle 20260626100500000, betway 66457014", False)]
    assert count_lines(result) == {"betway": 223}


def write_sample(samples: Path, folder: Path, pack: str, name: str) -> Path:
    file = folder / f"{pack}-{name}"
    file.write_text(
        json.dumps(betway.with_event(samples, name) if pack == "betway" else load_pack_sample(samples, pack, name))
    )
    return file


@pytest.mark.parametrize(
    ("pack", "name"),
    [
        *(("msport", name) for name in ("wc_nf.json", "prematch.json", "tennis.json", "basketball.json")),
        ("betway", "wc_nf.json"),
        ("betika", "2026-08-09_match_72230652_football.json"),
        ("betika", "2026-08-09_match_68095974_basketball.json"),
        ("sportpesa", "odds-kenya_game_8534383.json"),
        ("sportybet", "basketball.json"),
        ("betpawa", "tennis.json"),
        ("bet9ja", "tennis.json"),
    ],
)
def test_a_file_is_read_by_the_platform_that_finds_a_book_in_it(samples: Path, tmp_path: Path, pack: str, name: str):
    result = audit(None, write_sample(samples, tmp_path, pack, name))
    assert result.left_out == []
    assert list(count_lines(result)) == [pack]


def test_a_file_in_play_is_no_problem_whichever_platform_it_is_of(samples: Path, tmp_path: Path):
    result = audit(None, write_sample(samples, tmp_path, "msport", "live.json"))
    assert [x.is_in_play for x in result.left_out] == [True]


def test_a_file_that_no_platform_reads_has_the_reason_of_each(samples: Path, tmp_path: Path):
    body: dict[str, Any] = load_pack_sample(samples, "msport", "prematch.json")
    del body["data"]["eventId"]
    file = tmp_path / "prematch.json"
    file.write_text(json.dumps(body))
    (left_out,) = audit(None, file).left_out
    assert "sportybet: " in left_out.reason
    assert "; msport: $.data" in left_out.reason
