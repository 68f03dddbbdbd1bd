"""The checks of the mart: rules that hold whatever the platforms answer.

A violated rule blocks the assets downstream. Checks that compare with earlier cycles only warn.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

import dagster as dg
import polars as pl

from palimpsest_pipeline.domain.enums import FixtureProduct, Scope, Severity
from palimpsest_pipeline.matching import select_primary_listings
from palimpsest_pipeline.metrics.coverage import coverage_laws
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.marts import derive_marts
from palimpsest_pipeline.storage.derivation import dirty_fixtures
from palimpsest_pipeline.storage.derivation.derived_products import COVERAGE_PRODUCT
from palimpsest_pipeline.storage.ledger import cycle_reader
from palimpsest_pipeline.storage.ledger.check_verdicts import CheckVerdict
from palimpsest_pipeline.storage.marts import (
    current_price_rows,
    cycle_marts,
    mapping_ledger,
    odds_alert_rows,
    quality_inputs,
)

from ..check_results import build_result
from ..cycle_checks import JudgedCycles, make_cycle_check

MAX_NAMED_VIOLATIONS: Final = 5
MATCH_RATE_TOLERANCE: Final = 0.1
"""Maximum difference of a match rate from the median of earlier full cycles, share of 1."""
DERIVE_AGAIN_ADVICE: Final = (
    "Run `palimpsest backfill` for the hour of the cycle with --again; if this stays, the derivation is wrong: please"
    " report it with the cycle id"
)
_COVERAGE_PRODUCT: Final = ("mart", COVERAGE_PRODUCT)
_RUN_QUALITY_PRODUCT: Final = ("mart", derive_marts.RUN_QUALITY_PRODUCT)
_MAPPING_COVERAGE_PRODUCT: Final = ("mart", derive_marts.MAPPING_COVERAGE_PRODUCT)


def _describe_violations(violations: pl.DataFrame, advice: str) -> str:
    """Return the violations of a rule as text with the advice for the user; empty without violations."""
    if violations.is_empty():
        return ""
    remainder = (
        f"; and {violations.height - MAX_NAMED_VIOLATIONS} more" if violations.height > MAX_NAMED_VIOLATIONS else ""
    )
    return "; ".join(violations["violation"].head(MAX_NAMED_VIOLATIONS)) + f"{remainder}. {advice}"


def build_verdict(
    cycle_id: int, violations: pl.DataFrame, advice: str = DERIVE_AGAIN_ADVICE, severity: Severity = Severity.ERROR
) -> CheckVerdict:
    """Return the verdict on a cycle for its violations of a rule."""
    return CheckVerdict(cycle_id, severity, violations.height, _describe_violations(violations, advice))


def judge_rows(
    cycles: JudgedCycles,
    tables: Sequence[str],
    law: Callable[..., pl.DataFrame],
    severity: Severity = Severity.ERROR,
) -> Iterator[CheckVerdict]:
    """Yield the verdict of the rule `law` on each cycle.

    `law` is called with the cycle's rows of each of the `tables`, and returns the violations.
    """
    frames = [cycle_marts.read_mart_rows(cycles.conn, table, *cycles.ids) for table in tables]
    for cycle_id in cycles.ids:
        yield build_verdict(
            cycle_id, law(*(frame.filter(pl.col("cycle_id") == cycle_id) for frame in frames)), severity=severity
        )


@make_cycle_check(asset=["mart", "match_rate_platform"], product=_COVERAGE_PRODUCT, blocking=True)
def classes_add_up_to_the_union(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """Each fixture is counted once: as matched, home only, competitor only or undetermined."""
    return judge_rows(cycles, ["mart.match_rate_platform"], coverage_laws.find_miscounted_classes)


@make_cycle_check(
    asset=["mart", "coverage_tournament"],
    product=_COVERAGE_PRODUCT,
    blocking=True,
    additional_deps=[["mart", "match_rate_platform"]],
)
def tournaments_add_up_to_the_platforms(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """Every count of coverage_tournament, summed over tournaments, equals the platform's count."""
    return judge_rows(
        cycles,
        ["mart.coverage_tournament", "mart.match_rate_platform"],
        coverage_laws.find_miscounted_tournaments,
    )


@make_cycle_check(
    asset=["mart", "coverage_fixture"],
    product=_COVERAGE_PRODUCT,
    blocking=True,
    additional_deps=[["mart", "match_rate_platform"]],
)
def fixtures_add_up_to_the_rates(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """The number of fixtures of each class in coverage_fixture equals the number in match_rate_platform."""
    return judge_rows(
        cycles, ["mart.coverage_fixture", "mart.match_rate_platform"], coverage_laws.find_miscounted_fixtures
    )


@make_cycle_check(asset=["mart", "coverage_fixture"], product=_COVERAGE_PRODUCT, blocking=True)
def classes_follow_the_platforms(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """A fixture's class agrees with the platforms that list it: matched if home and a competitor list it."""
    return judge_rows(cycles, ["mart.coverage_fixture"], coverage_laws.find_wrong_classes)


@make_cycle_check(asset=["mart", "match_rate_platform"], product=_COVERAGE_PRODUCT)
def match_rates_are_usual(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """In a full cycle, each match rate is close to the median of earlier full cycles.

    This holds for each platform's rate and for the overall rate. The maximum difference is 0.1.
    """
    advice = (
        "See mart.coverage_tournament for the tournaments that changed. If a platform's SportRadar ids are misread, fix"
        " its parser and run `palimpsest backfill` of the hour; if the offer has changed, the median follows by itself"
    )
    for cycle_id in quality_inputs.filter_ended_cycles(cycles.conn, cycles.ids):
        rates, earlier = quality_inputs.read_match_rates(cycles.conn, cycle_id)
        yield build_verdict(
            cycle_id,
            coverage_laws.find_unusual_match_rates(rates, earlier, MATCH_RATE_TOLERANCE),
            advice,
            Severity.WARN,
        )


@make_cycle_check(asset=["mart", "run_quality"], product=_RUN_QUALITY_PRODUCT)
def no_stage_is_empty(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """In a normally ended cycle, no stage of a platform is empty or below half of the expected number.

    The expected number is that of earlier full cycles, or, in a cycle for given fixtures, the number of requested
    fixtures.
    """
    ended = sorted(set(cycles.ids) - set(cycle_reader.read_unended_cycles(cycles.conn)))
    rows = cycle_marts.read_mart_rows(cycles.conn, "mart.run_quality", *ended)
    for cycle_id in ended:
        violations = coverage_laws.find_empty_stages(rows.filter(pl.col("cycle_id") == cycle_id))
        # A cycle of the kickoff cadence ends when the next minute begins, even when a platform has not answered yet.
        severity = Severity.WARN if (violations["law"] == coverage_laws.UNANSWERED_LAW).all() else Severity.ERROR
        yield build_verdict(
            cycle_id,
            violations,
            "See ops.scrape_runs.message of the cycle for the reason; the next cycle asks again",
            severity,
        )


@make_cycle_check(asset=["mart", "run_quality"], product=_RUN_QUALITY_PRODUCT)
def changes_are_plausible(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """Where a platform has many markets in a cycle, some of them changed and some did not.

    If none or all of them changed, the comparison with the previous answers is probably broken.
    """
    advice = (
        "See core.captures.n_changed of the cycle; if it stays in later cycles, the comparison is wrong: please report"
        " it with the cycle id"
    )
    rows = cycle_marts.read_mart_rows(cycles.conn, "mart.run_quality", *cycles.ids)
    for cycle_id in cycles.ids:
        yield build_verdict(
            cycle_id,
            coverage_laws.find_implausible_changes(rows.filter(pl.col("cycle_id") == cycle_id)),
            advice,
            Severity.WARN,
        )


@make_cycle_check(asset=["mart", "coverage_fixture"], product=_COVERAGE_PRODUCT)
def kickoffs_of_the_platforms_agree(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """In a full cycle, the median difference between a platform's kickoffs and home's is zero.

    If it is not zero, a parser has probably misread a time zone.
    """
    at_home = pl.col("platform") == pl.col("home_platform")
    for cycle_id in quality_inputs.filter_ended_cycles(cycles.conn, cycles.ids, (Scope.FULL, Scope.RECORDED)):
        listings = select_primary_listings(quality_inputs.read_kickoff_claims(cycles.conn, cycle_id))
        home = listings.filter(at_home).select("fixture_sr_id", home_kickoff="kickoff_at")
        violations = coverage_laws.find_shifted_clocks(listings.filter(~at_home).join(home, on="fixture_sr_id"))
        yield build_verdict(
            cycle_id,
            violations,
            "Compare the platform's kickoffs with another source before trusting its coverage",
            Severity.WARN,
        )


@make_cycle_check(asset=["mart", "mapping_coverage"], product=_MAPPING_COVERAGE_PRODUCT, blocking=True)
def mapped_and_unmapped_add_up(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """Every market is counted as mapped or unmapped, and each unmapped one is in core.unmapped_markets."""
    return judge_rows(cycles, ["mart.mapping_coverage", "core.unmapped_markets"], coverage_laws.find_miscounted_mapping)


@make_cycle_check(asset=["mart", "mapping_coverage"], product=_MAPPING_COVERAGE_PRODUCT)
def markets_are_mapped(cycles: JudgedCycles) -> Iterator[CheckVerdict]:
    """In a full cycle, each platform's mapped rate is at least PALIMPSEST_MIN_MAPPED_RATE.

    It is also not much lower than in the previous full cycle.
    """
    advice = "See mart.unmapped_market for the missing markets, most important first, and `palimpsest markets --help`"
    for cycle_id in quality_inputs.filter_ended_cycles(cycles.conn, cycles.ids):
        judged_ids = quality_inputs.read_last_full_cycles(cycles.conn, "mart.mapping_coverage", cycle_id, 2)
        rates = mapping_ledger.read_mapped_rates(cycles.conn, judged_ids)
        if cycle_id in rates["cycle_id"]:  # a cycle without any book has no mapped rates
            yield build_verdict(
                cycle_id,
                coverage_laws.find_low_mapped_rates(rates, cycles.pipeline.settings.min_mapped_rate),
                advice,
                Severity.WARN,
            )


FIXTURES_OVERDUE_S: Final = 90 * 60
"""Seconds after which a fixture that waits for its marts is overdue."""


@dg.asset_check(asset=current_price_rows.COMPARISON_TABLE.split("."))
def no_fixture_is_due_for_long(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """No due fixture waits longer than 90 minutes for its derivation."""
    with pipeline.connect() as conn:
        due_counts = {product: dirty_fixtures.count_due_fixtures(conn, product) for product in FixtureProduct}
    late_products = [
        f"{product} of {n} fixtures, for {waits_s / 60:.0f} min"
        for product, (n, waits_s) in due_counts.items()
        if waits_s > FIXTURES_OVERDUE_S
    ]
    advice = "Launch the job present in the UI; the next full cycle derives them, too."
    return build_result(
        f"Behind: {'; '.join(late_products)}. {advice}" if late_products else "",
        dg.AssetCheckSeverity.WARN,
        **{f"{product}_due": n for product, (n, _) in due_counts.items()},
    )


@dg.asset_check(asset=odds_alert_rows.ODDS_ALERT_TABLE.split("."), blocking=True)
def begun_fixtures_have_no_open_alert(pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """A fixture that had begun at the last full cycle has no open alert, unless it is due for derivation."""
    with pipeline.connect() as conn:
        alerts = odds_alert_rows.list_open_after_kickoff(conn)
    problem = alerts and (
        f"{len(alerts)} alerts are open though their fixtures have begun, e.g. alert {alerts[0]}. The next full cycle"
        " derives all of them again; if it stays, the derivation is wrong: please report it with the alert's id."
    )
    return build_result(problem or "", violations=len(alerts))
