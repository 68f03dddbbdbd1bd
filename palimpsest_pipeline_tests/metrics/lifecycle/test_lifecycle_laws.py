"""Laws of margins over time and of counts of gaps: each finds rows that break it, and says what is wrong."""

from typing import Any, Final

import polars as pl
import pytest

from palimpsest_pipeline.metrics.coverage import coverage_laws
from palimpsest_pipeline.metrics.lifecycle import lifecycle_laws

from ..life_worlds import at

LAWFUL: Final[dict[str, Any]] = {
    "sr_id": 1,
    "platform": "betpawa",
    "market_key": "match_result",
    "specifier": "",
    "observed_from": at(5, 6),
    "observed_to": at(5, 7),
    "as_of": at(5, 12),
    "winners_k": 1,
    "margin": 0.05,
    "payout": 1 / 1.05,
    "margin_status": "ok",
    "margin_reference_pct": 5.0,
}
NEXT: Final = LAWFUL | {"observed_from": at(5, 7), "observed_to": None}
NONE: Final = {"margin": None, "payout": None, "margin_status": "suspended_outcome"}
CURVE: Final = {
    "platform": "betpawa",
    "market_key": "match_result",
    "bucket_scheme": "trader10",
    "n_observed_minutes": 360.0,
    "observed_share": 0.5,
}
COUNTS: Final = {
    "n_both": 3,
    "n_home_missing": 2,
    "n_platform_missing": 1,
    "n_home_suspended": 0,
    "n_platform_suspended": 4,
    "n_unknown": 0,
}
GAP: Final = {"sr_id": 1, "platform": "sportybet", "hours_before": 1, "home_platform": "betpawa", **COUNTS}


def frame(*rows: dict[str, Any]) -> pl.DataFrame:
    instants = dict.fromkeys(("observed_from", "observed_to", "as_of"), pl.Datetime("us", "UTC"))
    numbers = dict.fromkeys(("margin", "payout", "margin_reference_pct"), pl.Float64)
    return pl.DataFrame(
        rows, schema_overrides={k: v for k, v in {**instants, **numbers}.items() if rows and k in rows[0]}
    )


OF_MARGINS: Final = (
    lifecycle_laws.stretches_do_not_overlap,
    lifecycle_laws.margins_follow_their_status,
    lifecycle_laws.margins_reconcile,
)


def test_lawful_rows_break_no_law() -> None:
    negative = {"margin": -0.05, "payout": 1 / 0.95, "margin_status": "negative", "margin_reference_pct": -5.0}
    rows = frame(LAWFUL, NEXT, LAWFUL | {"specifier": "x", **NONE}, LAWFUL | {"specifier": "y", **negative})
    for law in OF_MARGINS:
        assert law(rows).is_empty()
        assert law(rows.clear()).is_empty()
    double = frame(LAWFUL | {"market_key": "double_chance", "winners_k": 2, "margin_reference_pct": 110.0})
    assert lifecycle_laws.margins_reconcile(double).is_empty()


@pytest.mark.parametrize(
    ("rows", "broken", "said"),
    [
        ([LAWFUL, NEXT | {"observed_from": at(5, 6, 30)}], 0, "the next from 2026-05-05 06:30"),
        ([LAWFUL | {"observed_to": None}, NEXT], 0, "to no end, the next from"),
        ([LAWFUL | {"observed_to": at(5, 6)}], 0, "it lasts until"),
        ([LAWFUL | {"margin_status": "suspended_outcome"}], 1, "is suspended_outcome, and has the margin 0.05"),
        ([LAWFUL | {"margin": None, "payout": None}], 1, "is ok, and has the margin null"),
        ([LAWFUL | {"payout": None}], 1, "the payout null"),
        ([LAWFUL | {"margin_status": "negative"}], 1, "is negative, and has the margin 0.05"),
        ([LAWFUL | {"margin_reference_pct": 5.02}], 2, "with k = 1 is not the reference figure 5.02"),
        ([LAWFUL | {"winners_k": 2}], 2, "with k = 2"),
        ([LAWFUL | {"margin_reference_pct": None}], 2, "reference figure null"),
    ],
)
def test_a_broken_law_is_found_and_told(rows: list[dict[str, Any]], broken: int, said: str) -> None:
    found = [law(frame(*rows)) for law in OF_MARGINS]
    assert [violations.height for violations in found] == [int(n == broken) for n in range(3)]
    (told,) = found[broken]["violation"]
    assert told.startswith("sr_id 1 on betpawa, match_result")
    assert said in told


def test_minutes_that_are_lost_or_counted_twice_are_found() -> None:
    margins = frame(LAWFUL, NEXT, LAWFUL | {"specifier": "x", **NONE})
    reference = CURVE | {"bucket_scheme": "reference4"}
    in_two = [reference | {"n_observed_minutes": minutes} for minutes in (100.0, 260.0)]
    assert lifecycle_laws.bucket_minutes_add_up(margins, frame(CURVE, *in_two)).is_empty()
    lost = lifecycle_laws.bucket_minutes_add_up(margins, frame(CURVE | {"n_observed_minutes": 359.0}, reference))
    assert lost["violation"].to_list() == [
        "betpawa match_result: 359.0 minutes in the buckets of trader10, 360.0 in market_margin"
    ]
    assert lifecycle_laws.bucket_minutes_add_up(margins.clear(), frame(CURVE)).height == 1
    nowhere = lifecycle_laws.bucket_minutes_add_up(margins, frame(CURVE).clear())
    assert nowhere["violation"].to_list() == ["betpawa match_result: has margins and no bucket"]
    of_a_moment = frame(LAWFUL | {"observed_from": at(5, 12), "observed_to": None})
    assert lifecycle_laws.bucket_minutes_add_up(of_a_moment, frame(CURVE).clear()).is_empty()


def test_a_share_beyond_one_is_found() -> None:
    assert coverage_laws.rates_are_ratios(frame(CURVE)).is_empty()
    assert coverage_laws.rates_are_ratios(frame(CURVE | {"observed_share": 1.01})).height == 1


def test_counts_that_are_not_what_was_offered_are_found() -> None:
    schema = {"sr_id": pl.Int64, "platform": pl.String, "hours_before": pl.Int64, "n_offered": pl.Int64}
    offered = pl.DataFrame(
        [(1, "betpawa", 1, 8), (1, "sportybet", 1, 5), (1, "betpawa", 24, 3)], schema=schema, orient="row"
    )
    assert lifecycle_laws.gap_counts_add_up(frame(GAP), offered).is_empty()
    found = lifecycle_laws.gap_counts_add_up(frame(GAP | {"n_both": 4}, GAP | {"hours_before": 24}), offered)
    assert found["violation"].to_list() == [
        "sr_id 1, sportybet, 1 h before kickoff: 8 offered by home and 5 by the competitor come to 15 in the counts",
        "sr_id 1, sportybet, 24 h before kickoff: 3 offered by home and 0 by the competitor come to 13 in the counts",
    ]


def test_stretches_of_other_lines_do_not_meet() -> None:
    apart = [
        LAWFUL | {name: value}
        for name, value in (("sr_id", 2), ("platform", "bet9ja"), ("market_key", "total_goals"), ("specifier", "z"))
    ]
    follows = LAWFUL | {"observed_from": at(5, 7), "observed_to": at(5, 8)}
    assert lifecycle_laws.stretches_do_not_overlap(frame(LAWFUL, *apart, follows)).is_empty()
