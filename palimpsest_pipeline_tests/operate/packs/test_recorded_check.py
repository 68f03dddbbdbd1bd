"""The check of recorded answers, on those of all seven bookmakers and on bad ones."""

import json
from pathlib import Path
from typing import Any

import pytest

from palimpsest_pipeline.operate.packs.recorded_answers import UnsoundAnswers, check_recorded_answers
from palimpsest_pipeline.platforms.packs import load_packs
from palimpsest_pipeline_tests.fixtures.all_recordings import write_all_recordings
from palimpsest_pipeline_tests.platforms.pack_support import load_pack_sample

FOUND = {
    "bet9ja": "3 books, 765 of 765 lines mapped (100.0%), 2421 prices, 0 strange lines",
    "betika": "3 books, 71 of 71 lines mapped (100.0%), 244 prices, 0 strange lines",
    "betpawa": "2 books, 260 of 260 lines mapped (100.0%), 1220 prices, 0 strange lines",
    "betway": "3 books, 295 of 298 lines mapped (99.0%), 1618 prices, 0 strange lines",
    "msport": "4 books, 1195 of 1213 lines mapped (98.5%), 6489 prices, 0 strange lines",
    "sportpesa": "1 books, 59 of 59 lines mapped (100.0%), 196 prices, 0 strange lines",
    "sportybet": "3 books, 1380 of 1380 lines mapped (100.0%), 6215 prices, 0 strange lines",
}
"""The output of the check for each pack."""


@pytest.fixture(scope="module")
def recorded(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_all_recordings(samples, tmp_path_factory.mktemp("recorded") / "all")


@pytest.mark.parametrize("name", sorted(FOUND))
def test_recorded_books_of_seven_bookmakers_are_read_whole_and_mapped(recorded: Path, name: str) -> None:
    assert check_recorded_answers(load_packs().packs[name], recorded, 0.9) == FOUND[name]


def write_betika(samples: Path, folder: Path, body: Any) -> Path:
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(body))
    entry = {"file": "a.json", "platform": "betika", "kind": "detail", "external_id": "72230652"}
    (folder / "manifest.json").write_text(json.dumps([{**entry, "received_at": "2026-08-09T15:00:00Z"}]))
    return folder


def recording(samples: Path) -> Any:
    return load_pack_sample(samples, "betika", "2026-08-09_match_72230652_football.json")


def check(folder: Path, min_share: float = 0.9) -> str:
    return check_recorded_answers(load_packs().packs["betika"], folder, min_share)


def test_an_answer_that_cannot_be_read_is_named_with_its_file(samples: Path, tmp_path: Path) -> None:
    body = recording(samples)
    body["meta"]["start_time"] = "soon"
    with pytest.raises(UnsoundAnswers, match=r"in/a\.json: \$\.meta\.start_time: 'soon' is no instant"):
        check(write_betika(samples, tmp_path / "in", body))


def test_an_entry_that_cannot_be_read_is_named_with_its_place(samples: Path, tmp_path: Path) -> None:
    body = recording(samples)
    body["data"][1]["odds"][0]["outcome_id"] = None
    with pytest.raises(UnsoundAnswers, match=r"in/a\.json: \$\.data\[1\]\.odds\[0\]\.outcome_id: no outcome id"):
        check(write_betika(samples, tmp_path / "in", body))


def test_lines_that_are_not_mapped_are_named(samples: Path, tmp_path: Path) -> None:
    body = recording(samples)
    for market in body["data"][:10]:
        market["sub_type_id"] = f"99{market['sub_type_id']}"
    with pytest.raises(UnsoundAnswers, match=r"of 53 lines are mapped \(.*at least 90% must be\): a\.json: market 99"):
        check(write_betika(samples, tmp_path / "in", body))
    assert "lines mapped" in check(tmp_path / "in", 0.1)


def test_prices_on_a_wrong_line_are_noticed(samples: Path, tmp_path: Path) -> None:
    body = recording(samples)
    totals = next(market for market in body["data"] if str(market["sub_type_id"]) == "18")
    lines = sorted({price["special_bet_value"] for price in totals["odds"]})
    assert len(lines) > 2
    swapped = dict(zip(lines, reversed(lines), strict=True))
    for price in totals["odds"]:
        price["special_bet_value"] = swapped[price["special_bet_value"]]
    with pytest.raises(
        UnsoundAnswers, match=r"lines have prices that cannot belong to them: a\.json: total_goals total="
    ):
        check(write_betika(samples, tmp_path / "in", body))


def test_prices_of_one_outcome_exchanged_between_lines_are_noticed(samples: Path, tmp_path: Path) -> None:
    body = recording(samples)
    totals = next(market for market in body["data"] if str(market["sub_type_id"]) == "18")
    low, *_, high = sorted({price["special_bet_value"] for price in totals["odds"]})
    for price in totals["odds"]:
        if price["outcome_id"] == "12":
            price["special_bet_value"] = {low: high, high: low}.get(
                price["special_bet_value"], price["special_bet_value"]
            )
    with pytest.raises(UnsoundAnswers, match="inverse prices add up to"):
        check(write_betika(samples, tmp_path / "in", body))
