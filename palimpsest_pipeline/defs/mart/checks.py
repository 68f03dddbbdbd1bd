"""Checks of the mart: laws that hold on every row set, whatever the platforms say. They block what is downstream."""

from typing import Final

import dagster as dg
import polars as pl

from ...domain.instants import parse_hour_key
from ...domain.words import Scope
from ...matching import primary_listings
from ...metrics import laws
from ...storage import ledger_readers, mapping, mart_readers, quality
from ..partition_checks import partition_check
from ..partitions import hours
from ..pipeline import Pipeline

MOST_NAMED: Final = 5


def result(violations: pl.DataFrame, mend: str, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR) -> dg.AssetCheckResult:
    """What a law's violations come to as the result of a check; `mend` says what to do about them."""
    if violations.is_empty():
        return dg.AssetCheckResult(passed=True, severity=severity, metadata={"violations": 0})
    more = f"; and {violations.height - MOST_NAMED} more" if violations.height > MOST_NAMED else ""
    description = "; ".join(violations["violation"].head(MOST_NAMED)) + f"{more}. {mend}"
    return dg.AssetCheckResult(passed=False, severity=severity, description=description, metadata={"violations": violations.height})


def derive_again(key: str) -> str:
    """What to do about rows of an hour that contradict themselves."""
    return f"Run `palimpsest backfill {key} {key} --again`; if it stays, the derivation is wrong: please report it with the cycle id."


def _rows(pipeline: Pipeline, key: str, table: str) -> pl.DataFrame:
    with pipeline.connect() as conn:
        return mart_readers.of_hour(conn, table, parse_hour_key(key))


@partition_check(asset=["mart", "match_rate_platform"], partitions_def=hours, blocking=True)
def classes_add_up_to_the_union(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """Matched, home-only, competitor-only and undetermined fixtures together are all fixtures, once each."""
    return result(laws.classes_add_up(_rows(pipeline, key, "mart.match_rate_platform")), derive_again(key))


@partition_check(asset=["mart", "coverage_tournament"], partitions_def=hours, blocking=True, additional_deps=[["mart", "match_rate_platform"]])
def tournaments_add_up_to_the_platforms(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """Every count of coverage_tournament, summed over tournaments, is the platform's own."""
    by_tournament, rates = _rows(pipeline, key, "mart.coverage_tournament"), _rows(pipeline, key, "mart.match_rate_platform")
    return result(laws.tournaments_add_up(by_tournament, rates), derive_again(key))


@partition_check(asset=["mart", "coverage_fixture"], partitions_def=hours, blocking=True, additional_deps=[["mart", "match_rate_platform"]])
def fixtures_add_up_to_the_rates(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """The classes of coverage_fixture, counted, are those of match_rate_platform."""
    fixtures, rates = _rows(pipeline, key, "mart.coverage_fixture"), _rows(pipeline, key, "mart.match_rate_platform")
    return result(laws.fixtures_add_up(fixtures, rates), derive_again(key))


@partition_check(asset=["mart", "coverage_fixture"], partitions_def=hours, blocking=True)
def classes_follow_the_platforms(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """A fixture is matched exactly when home and a competitor list it; the other classes agree with who lists it."""
    return result(laws.classes_follow_platforms(_rows(pipeline, key, "mart.coverage_fixture")), derive_again(key))


@partition_check(asset=["mart", "match_rate_platform"], partitions_def=hours, blocking=True)
def match_rates_are_ratios(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """Every rate is empty or lies in [0, 1]: a percentage in its place is an error."""
    return result(laws.rates_are_ratios(_rows(pipeline, key, "mart.match_rate_platform")), derive_again(key))


@partition_check(asset=["mart", "match_rate_platform"], partitions_def=hours)
def match_rates_are_usual(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """In the hour's last full cycle no platform's match rate, nor that of all, is further from the median of earlier full cycles than
    PALIMPSEST_MATCH_RATE_TOLERANCE."""
    with pipeline.connect() as conn:
        rates, medians = quality.match_rates(conn, parse_hour_key(key))
    tolerance = pipeline.settings.match_rate_tolerance
    mend = (
        "See mart.coverage_tournament for the tournaments that changed. If a platform's SportRadar ids are misread, mend its parser and run "
        f"`palimpsest backfill {key} {key}`; if the offer has changed, the median follows by itself."
    )
    return result(laws.match_rates_are_usual(rates, medians, tolerance), mend, dg.AssetCheckSeverity.WARN)


@partition_check(asset=["mart", "coverage_tournament"], partitions_def=hours, blocking=True)
def tournament_rates_are_ratios(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """Every rate is empty or lies in [0, 1]: a percentage in its place is an error."""
    return result(laws.rates_are_ratios(_rows(pipeline, key, "mart.coverage_tournament")), derive_again(key))


@partition_check(asset=["mart", "run_quality"], partitions_def=hours)
def no_stage_is_empty(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """In cycles that came to their own end, no stage of a platform's part came to nothing; nor to less than half of what earlier full cycles fetched,
    or, where given fixtures were asked for, of what was asked."""
    rows = _rows(pipeline, key, "mart.run_quality")
    with pipeline.connect() as conn:
        rows = rows.filter(~pl.col("cycle_id").is_in(ledger_readers.unended(conn)))
    violations = laws.no_stage_is_empty(rows)
    # A minute before kickoff ends when the next one begins, whoever has not answered yet.
    severity = dg.AssetCheckSeverity.WARN if (violations["law"] == laws.UNANSWERED).all() else dg.AssetCheckSeverity.ERROR
    return result(violations, "See ops.scrape_runs.message of the cycle for the reason; the next cycle asks again.", severity)


@partition_check(asset=["mart", "run_quality"], partitions_def=hours)
def changes_are_plausible(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """Of many markets some changed and some did not. None or all means that the comparison is broken, not that the market is calm."""
    mend = "See core.captures.n_changed of the cycle; if it stays in later cycles, the comparison is wrong: please report it with the cycle id."
    return result(laws.changes_are_plausible(_rows(pipeline, key, "mart.run_quality")), mend, dg.AssetCheckSeverity.WARN)


@partition_check(asset=["mart", "coverage_fixture"], partitions_def=hours)
def kickoffs_of_the_platforms_agree(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """In the hour's last full cycle the median difference between a platform's kickoffs and home's is nought; else a time zone is misread."""
    with pipeline.connect() as conn:
        speaking = primary_listings(quality.kickoff_claims(conn, parse_hour_key(key)))
    mend = "Compare the platform's kickoffs with another source before trusting its coverage."
    at_home = pl.col("platform") == pl.col("home_platform")
    home = speaking.filter(at_home).select("fixture_sr_id", home_kickoff="kickoff_at")
    return result(laws.clocks_agree(speaking.filter(~at_home).join(home, on="fixture_sr_id")), mend, dg.AssetCheckSeverity.WARN)


@partition_check(asset=["mart", "mapping_coverage"], partitions_def=hours, blocking=True)
def mapped_and_unmapped_add_up(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """Mapped and unmapped markets together are all that were seen, and every unmapped one is in the ledger."""
    coverage, unmapped = _rows(pipeline, key, "mart.mapping_coverage"), _rows(pipeline, key, "core.unmapped_markets")
    return result(pl.concat([laws.mapping_adds_up(coverage, unmapped), laws.rates_are_ratios(coverage)]), derive_again(key))


@partition_check(asset=["mart", "mapping_coverage"], partitions_def=hours)
def markets_are_mapped(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """In the hour's last full cycle no platform's mapped rate is below PALIMPSEST_MIN_MAPPED_RATE or well below that of the full cycle before."""
    with pipeline.connect() as conn:
        full = [m.cycle_id for m in pipeline.landing.cycles(hour=parse_hour_key(key)) if m.scope is Scope.FULL]
        rates = mapping.mapped_rates(conn, max(full, default=0))
    # A cycle that showed no book has no rates; those before it are their own hours' matter.
    judged = rates["cycle_id"].is_in(full).any()
    violations = laws.markets_are_mapped(rates, pipeline.settings.min_mapped_rate) if judged else pl.DataFrame(schema=laws.VIOLATIONS)
    return result(
        violations, "See mart.unmapped_market for what is missing, most important first, and `palimpsest markets --help`.", dg.AssetCheckSeverity.WARN
    )
