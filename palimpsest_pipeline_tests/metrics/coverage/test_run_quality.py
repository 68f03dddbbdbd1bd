"""How complete and how fast each stage was, worked out by hand."""

import json
from datetime import timedelta
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from palimpsest_pipeline.domain.enums import Scope
from palimpsest_pipeline.domain.exchange import INCOMPLETE_BOOK_PREFIX
from palimpsest_pipeline.metrics import build_run_quality
from palimpsest_pipeline.metrics.coverage import coverage_laws
from palimpsest_pipeline.metrics.coverage.run_quality import ANSWERS_SCHEMA, RUN_QUALITY_SCHEMA
from palimpsest_pipeline.tables import metadata
from palimpsest_pipeline_tests.matching.world import NOON, PLATFORMS

from ..laws import find_rates_beyond_one
from ..world import STAMPS

SCHEMAS = {
    "manifests": {"platform": pl.String, "external_id": pl.String, "declared": pl.Int32, "completeness": pl.String},
    "discovered_counts": {"platform": pl.String, "n_matches": pl.Int32, "n_listings": pl.Int32},
    "history": {"platform": pl.String, "keyframe": pl.Boolean, "n_changed": pl.Int32, "n_markets_mapped": pl.Int32},
    "rejects": {"platform": pl.String, "kind": pl.String, "n_answers": pl.Int32, "n_entries": pl.Int32},
    "medians": {"platform": pl.String, "stage": pl.String, "fetched_median": pl.Float64},
}


def answer(
    platform: str, kind: str, external_id: str | None, *, at_s: float = 0, ms: float = 100, **said: Any
) -> dict[str, Any]:
    asked = NOON + timedelta(seconds=at_s)
    row = {"attempt": 1, "status": 200, "failure": None, "bytes": 1000, "headers": "{}"} | said
    return {
        "observed_at": asked + timedelta(milliseconds=ms),
        "platform": platform,
        "kind": kind,
        "external_id": external_id,
        "requested_at": asked,
        "received_at": asked + timedelta(milliseconds=ms),
        **row,
    }


def quality(
    scope: Scope = Scope.FULL, platforms: list[str] = PLATFORMS, **rows: list[Any]
) -> dict[tuple[str, str], dict[str, Any]]:
    given = {name: pl.DataFrame(rows.get(name, []), schema=schema, orient="row") for name, schema in SCHEMAS.items()}
    answers = pl.DataFrame(rows.get("answers", []), schema=ANSWERS_SCHEMA)
    frame = build_run_quality(answers, as_of=NOON, scope=scope, platforms=platforms, **given)  # type: ignore[arg-type]
    assert dict(frame.schema) == RUN_QUALITY_SCHEMA
    return {(row["platform"], row["stage"]): row for row in frame.iter_rows(named=True)}


GOOD: dict[str, list[Any]] = {
    "answers": [
        answer("betpawa", "tree", None, ms=50, bytes=10),
        answer("betpawa", "listing", None, at_s=1, ms=150, bytes=20),
        answer("betpawa", "detail", "1", at_s=2, ms=100),
        answer("betpawa", "detail", "2", at_s=3, ms=300, status=503, failure="transient", bytes=0),
        answer("betpawa", "detail", "2", at_s=4, ms=200, attempt=2),
        answer("betpawa", "detail", "3", at_s=5, ms=500),
    ],
    "manifests": [
        ("betpawa", "*", None, "complete"),
        ("betpawa", "7", 2, "complete"),
        ("betpawa", "8", 1, "complete"),
        ("betpawa", "9", None, "complete"),
    ],
    "discovered_counts": [("betpawa", 3, 4)],
    "history": [("betpawa", True, 60, 60), ("betpawa", False, 2, 59), ("betpawa", False, 0, 59)],
    "medians": [("betpawa", "capture", 4.0)],
}


def picked(row: dict[str, Any], *columns: str) -> tuple[Any, ...]:
    return tuple(row[c] for c in columns)


def test_each_stage_counts_its_own_answers() -> None:
    rows = quality(platforms=["betpawa"], **GOOD)
    columns = (
        "declared",
        "discovered",
        "fetched",
        "parsed",
        "rejected",
        "stored",
        "completeness",
        "blocked_downstream",
    )
    assert picked(rows["betpawa", "discovery"], *columns) == (3, 3, 2, 2, 0, 4, "complete", False)
    assert picked(rows["betpawa", "capture"], *columns) == (3, 3, 3, 3, 0, 3, "complete", False)
    assert picked(rows["betpawa", "storage"], *columns) == (3, 3, 3, 3, 0, 3, "complete", False)
    assert list(rows) == [("betpawa", "discovery"), ("betpawa", "capture"), ("betpawa", "storage")]


def test_times_bytes_and_errors_are_of_every_attempt_of_the_stage() -> None:
    row = quality(platforms=["betpawa"], **GOOD)["betpawa", "capture"]
    assert picked(row, "p50_ms", "bytes", "wall_s") == (250.0, 3000, 3.5)
    assert row["p95_ms"] == pytest.approx(470.0)
    assert json.loads(row["errors_by_class"]) == {"transient": 1}
    assert row["drop_vs_median"] == 0.25
    storage = quality(platforms=["betpawa"], **GOOD)["betpawa", "storage"]
    assert picked(storage, "p50_ms", "bytes", "wall_s", "errors_by_class", "drop_vs_median") == (
        None,
        0,
        0.0,
        "{}",
        None,
    )


def test_answers_whose_age_was_ignored_are_counted_in_their_stage() -> None:
    ages = {"3": {"observed_at": NOON}, "999999999": {}, "soon": {}, "0": {}}
    details = [
        answer("betpawa", "detail", age, headers=json.dumps({"age": age, "etag": "x"}), **said)
        for age, said in ages.items()
    ]
    rows = quality(platforms=["betpawa"], **GOOD | {"answers": [*GOOD["answers"], *details]})
    assert {stage: row["ages_ignored"] for (_, stage), row in rows.items()} == {
        "discovery": 0,
        "capture": 2,
        "storage": 0,
    }


@pytest.mark.parametrize("first", [0, 1, 5])
def test_times_are_the_same_however_the_answers_lie_in_files(first: int) -> None:
    """Polars divides by a number through its inverse, but truly where it meets a row alone: 72.064 and
    72.06400000000001 of the same microseconds.
    """
    answers = pl.DataFrame(
        [
            answer("betpawa", "detail", str(n), at_s=n, ms=ms)
            for n, ms in enumerate([72.064, 51.352, 24.339, 82.043, 93.531])
        ],
        schema=ANSWERS_SCHEMA,
    )
    none = {name: pl.DataFrame(schema=schema) for name, schema in SCHEMAS.items()}

    def times(lying: pl.DataFrame) -> pl.DataFrame:
        rows = build_run_quality(lying, as_of=NOON, scope=Scope.FULL, platforms=["betpawa"], **none)  # type: ignore[arg-type]
        return rows.select("stage", "p50_ms", "p95_ms", "wall_s")

    assert_frame_equal(
        times(pl.concat([answers[:first], answers[first:]], rechunk=False)), times(answers.rechunk()), check_exact=True
    )


def test_keyframes_count_neither_as_changed_nor_as_confirmed() -> None:
    row = quality(platforms=["betpawa"], **GOOD)["betpawa", "storage"]
    assert picked(row, "changed", "confirmed", "change_ratio") == (2, 116, 2 / 118)
    only_keyframes = quality(platforms=["betpawa"], **GOOD | {"history": [("betpawa", True, 60, 60)]})[
        "betpawa", "storage"
    ]
    assert picked(only_keyframes, "changed", "confirmed", "change_ratio", "completeness") == (0, 0, None, "partial")


def test_the_trees_own_total_is_what_is_declared() -> None:
    rows = quality(
        platforms=["betpawa"], **GOOD | {"manifests": [("betpawa", "*", 5, "partial"), ("betpawa", "7", 2, "complete")]}
    )
    columns = ("declared", "completeness", "blocked_downstream")
    assert picked(rows["betpawa", "discovery"], *columns) == (5, "partial", False)


def test_a_full_cycle_in_which_a_platform_fell_silent_has_failed_there_and_nowhere_else() -> None:
    rows = quality(platforms=["betpawa", "bet9ja"], **GOOD)
    assert {
        stage: rows["bet9ja", stage]["completeness"] for stage in ("discovery", "capture", "storage")
    } == dict.fromkeys(("discovery", "capture", "storage"), "failed")
    assert rows["bet9ja", "discovery"]["blocked_downstream"]
    assert picked(rows["bet9ja", "discovery"], "declared", "fetched", "stored", "drop_vs_median") == (None, 0, 0, None)
    assert rows["betpawa", "discovery"]["completeness"] == "complete"


def test_a_complete_tree_without_a_match_has_failed() -> None:
    rows = quality(platforms=["betpawa"], **GOOD | {"discovered_counts": [("betpawa", 0, 2)]})
    assert rows["betpawa", "discovery"]["completeness"] == "failed"


@pytest.mark.parametrize(
    ("second", "completeness"),
    [
        ({"status": 404, "failure": "not_found"}, "complete"),  # gone is an answer
        ({"status": 403, "failure": "blocked"}, "partial"),
        ({"status": None, "failure": "transient"}, "partial"),
    ],
)
def test_a_capture_is_complete_when_every_listing_was_answered_or_is_gone(
    second: dict[str, Any], completeness: str
) -> None:
    answers = [answer("bet9ja", "detail", "1"), answer("bet9ja", "detail", "2", **second)]
    assert quality(platforms=["bet9ja"], answers=answers)["bet9ja", "capture"]["completeness"] == completeness


def test_requests_that_a_host_was_spared_are_errors_and_no_durations() -> None:
    spared = [
        answer("bet9ja", "detail", str(i), ms=0, attempt=0, status=None, failure="blocked", bytes=0)
        for i in range(2, 9)
    ]
    row = quality(
        platforms=["bet9ja"], answers=[answer("bet9ja", "detail", "1", ms=900, status=403, failure="blocked"), *spared]
    )["bet9ja", "capture"]
    assert picked(row, "declared", "fetched", "p50_ms", "errors_by_class", "completeness") == (
        8,
        0,
        900.0,
        '{"blocked":8}',
        "failed",
    )


def test_refused_answers_are_not_read_and_not_storages_to_store() -> None:
    rejects = [("betpawa", "detail", 1, 5), ("betpawa", "listing", 0, 2)]
    rows = quality(platforms=["betpawa"], **GOOD | {"rejects": rejects, "history": GOOD["history"][:2]})
    columns = ("declared", "fetched", "parsed", "rejected", "stored", "completeness")
    assert picked(rows["betpawa", "capture"], *columns) == (3, 3, 2, 6, 2, "complete")
    assert picked(rows["betpawa", "storage"], *columns) == (2, 3, 2, 0, 2, "complete")
    assert picked(rows["betpawa", "discovery"], "rejected", "completeness") == (2, "complete")


def test_answers_that_were_read_and_not_stored_make_storage_partial_or_failed() -> None:
    assert (
        quality(platforms=["betpawa"], **GOOD | {"history": GOOD["history"][:1]})["betpawa", "storage"]["completeness"]
        == "partial"
    )
    assert quality(platforms=["betpawa"], **GOOD | {"history": []})["betpawa", "storage"]["completeness"] == "failed"


def test_a_cycle_of_given_fixtures_has_rows_for_what_was_asked_only() -> None:
    rows = quality(Scope.EVENTS, answers=[answer("bet9ja", "detail", "1")], history=[("bet9ja", False, 1, 1)])
    assert list(rows) == [("bet9ja", "capture"), ("bet9ja", "storage")]
    assert {row["completeness"] for row in rows.values()} == {"complete"}


def test_recorded_discovery_without_a_manifest_is_partial() -> None:
    rows = quality(Scope.RECORDED, answers=[answer("bet9ja", "listing", None)], discovered_counts=[("bet9ja", 4, 4)])
    assert picked(rows["bet9ja", "discovery"], "completeness", "discovered") == ("partial", 4)


def test_the_answers_of_a_book_count_as_one() -> None:
    details = [
        answer("betway", "detail", external_id, path="/markets", params=params, at_s=at_s)
        for external_id, at_s in (("1", 0), ("2", 1), ("2", 60))
        for params in ("{}", '{"skip":"100"}')
    ]
    failed = [
        answer("betway", "detail", "3", path="/markets", failure="blocked", failure_detail=detail)
        for detail in (f"{INCOMPLETE_BOOK_PREFIX}HTTP 403", f"{INCOMPLETE_BOOK_PREFIX}HTTP 403", "HTTP 403")
    ]
    rows = quality(platforms=["betway"], answers=details + failed, history=[("betway", False, 1, 9)] * 3)
    columns = ("declared", "fetched", "parsed", "stored", "errors_by_class", "completeness")
    assert picked(rows["betway", "capture"], *columns) == (3, 3, 3, 3, '{"blocked":1}', "partial")
    assert picked(rows["betway", "storage"], *columns) == (3, 3, 3, 3, "{}", "complete")


def test_the_columns_are_those_of_the_table() -> None:
    assert set(RUN_QUALITY_SCHEMA) == set(metadata.tables["mart.run_quality"].columns.keys()) - STAMPS
    assert quality(Scope.EVENTS) == {}
    assert len(quality()) == 9


def test_an_empty_stage_and_a_sudden_drop_break_the_law() -> None:
    def frame(**rows: list[Any]) -> pl.DataFrame:
        return pl.DataFrame(list(quality(**rows).values()), schema=RUN_QUALITY_SCHEMA)  # type: ignore[arg-type]

    assert coverage_laws.find_empty_stages(frame(platforms=["betpawa"], **GOOD)).is_empty()
    assert coverage_laws.find_empty_stages(frame(platforms=["betpawa", "bet9ja"], **GOOD))["subject"].to_list() == [
        "bet9ja discovery",
        "bet9ja capture",
        "bet9ja storage",
    ]
    dropped = coverage_laws.find_empty_stages(
        frame(platforms=["betpawa"], **GOOD | {"medians": [("betpawa", "capture", 30.0)]})
    )
    assert dropped["violation"].to_list() == ["betpawa capture: 3 fetched, 0.9 of the trailing median missing"]


def test_an_answer_of_which_more_changed_than_it_has_changed_as_a_whole() -> None:
    row = quality(platforms=["betpawa"], **GOOD | {"history": [("betpawa", False, 70, 60), ("betpawa", False, 0, 0)]})[
        "betpawa", "storage"
    ]
    assert picked(row, "changed", "confirmed", "change_ratio") == (60, 0, 1.0)


@pytest.mark.parametrize(
    ("n_changed", "told"),
    [
        ([0] * 60, ["betpawa storage: 0 markets changed and 6780 did not"]),
        ([113] * 60, ["betpawa storage: 6780 markets changed and 0 did not"]),
        ([120] * 60, ["betpawa storage: 6780 markets changed and 0 did not"]),
        ([6] * 60, []),  # each answer changed, as nearly all do
        ([1] + [0] * 59, []),
        ([112] + [113] * 59, []),
        ([0] * 10, []),
        ([113] * 10, []),
    ],
)
def test_all_or_none_of_many_markets_changing_breaks_the_law(n_changed: list[int], told: list[str]) -> None:
    rows = quality(platforms=["betpawa"], **GOOD | {"history": [("betpawa", False, n, 113) for n in n_changed]})
    frame = pl.DataFrame(list(rows.values()), schema=RUN_QUALITY_SCHEMA)
    assert coverage_laws.find_implausible_changes(frame)["violation"].to_list() == told
    assert find_rates_beyond_one(frame).is_empty()
