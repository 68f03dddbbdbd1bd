"""Checks of the mart: laws that hold on every row set, whatever the platforms say. They block what is downstream."""

import dagster as dg
import polars as pl

from ...domain.instants import parse_hour_key
from ...domain.words import Scope
from ...metrics import laws
from ...storage import ledger_readers, mapping, mart_readers, products
from ..partitions import hours
from ..pipeline import Pipeline
from . import derive


def result(violations: pl.DataFrame, mend: str, severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR) -> dg.AssetCheckResult:
    """What a law's violations come to as the result of a check; `mend` says what to do about them."""
    description = "" if violations.is_empty() else "; ".join(violations["violation"].head(5).to_list()) + f". {mend}"
    return dg.AssetCheckResult(
        passed=violations.is_empty(),
        severity=severity,
        description=description or None,
        metadata={"violations": violations.height},
    )


MEND = "Rebuild the hour (`palimpsest backfill`); if it stays, the derivation is wrong: please report it with the cycle id."


def _hour_frames(context: dg.AssetCheckExecutionContext, pipeline: Pipeline, *tables: str, schema: str = "mart") -> list[pl.DataFrame]:
    with pipeline.connect() as conn:
        return [
            pl.concat([mart_readers.of_hour(conn, f"{schema}.{table}", parse_hour_key(key)) for key in context.partition_keys]) for table in tables
        ]


@dg.asset_check(asset=["mart", "match_rate_platform"], blocking=True, partitions_def=hours)
def classes_add_up_to_the_union(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Matched, home-only, competitor-only and undetermined fixtures together are all fixtures, once each."""
    (rates,) = _hour_frames(context, pipeline, "match_rate_platform")
    return result(laws.classes_add_up(rates), MEND)


@dg.asset_check(asset=["mart", "coverage_tournament"], blocking=True, partitions_def=hours, additional_deps=[["mart", "match_rate_platform"]])
def tournaments_add_up_to_the_platforms(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Every count of coverage_tournament, summed over tournaments, is the platform's own."""
    by_tournament, rates = _hour_frames(context, pipeline, "coverage_tournament", "match_rate_platform")
    return result(laws.tournaments_add_up(by_tournament, rates), MEND)


@dg.asset_check(asset=["mart", "coverage_fixture"], blocking=True, partitions_def=hours, additional_deps=[["mart", "match_rate_platform"]])
def fixtures_add_up_to_the_rates(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """The classes of coverage_fixture, counted, are those of match_rate_platform."""
    fixtures, rates = _hour_frames(context, pipeline, "coverage_fixture", "match_rate_platform")
    return result(laws.fixtures_add_up(fixtures, rates), MEND)


@dg.asset_check(asset=["mart", "coverage_fixture"], blocking=True, partitions_def=hours)
def classes_follow_the_platforms(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """A fixture is matched exactly when home and a competitor list it; the other classes agree with who lists it."""
    (fixtures,) = _hour_frames(context, pipeline, "coverage_fixture")
    return result(laws.classes_follow_platforms(fixtures), MEND)


@dg.asset_check(asset=["mart", "match_rate_platform"], blocking=True, partitions_def=hours)
def match_rates_are_ratios(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Every rate is empty or lies in [0, 1]: a percentage in its place is an error."""
    (rates,) = _hour_frames(context, pipeline, "match_rate_platform")
    return result(laws.rates_are_ratios(rates), MEND)


@dg.asset_check(asset=["mart", "coverage_tournament"], blocking=True, partitions_def=hours)
def tournament_rates_are_ratios(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Every rate is empty or lies in [0, 1]: a percentage in its place is an error."""
    (by_tournament,) = _hour_frames(context, pipeline, "coverage_tournament")
    return result(laws.rates_are_ratios(by_tournament), MEND)


@dg.asset_check(asset=["mart", "run_quality"], partitions_def=hours)
def no_stage_is_empty(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """In cycles that came to their own end, no stage of a platform's part came to nothing, or to less than half of what earlier cycles fetched."""
    (quality,) = _hour_frames(context, pipeline, "run_quality")
    with pipeline.connect() as conn:
        quality = quality.filter(~pl.col("cycle_id").is_in(ledger_readers.unended(conn)))
    return result(laws.no_stage_is_empty(quality), "See ops.scrape_runs for the reason, then materialize the current hour again.")


@dg.asset_check(asset=["mart", "run_quality"], partitions_def=hours)
def changes_are_plausible(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Of many markets some changed and some did not. None or all means that the comparison is broken, not that the market is calm."""
    (quality,) = _hour_frames(context, pipeline, "run_quality")
    return result(laws.changes_are_plausible(quality), "See core.captures.n_changed of the cycle.", dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset=["mart", "coverage_fixture"], partitions_def=hours)
def kickoffs_of_the_platforms_agree(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """The median difference between a platform's kickoffs and home's is nought; else somebody's time zone is misread."""
    found = []
    with pipeline.connect() as conn:
        for key in context.partition_keys:
            # One that another run is just landing is that run's matter.
            manifests = [m for m in pipeline.landing.cycles(hour=parse_hour_key(key)) if derive.COVERAGE in products.marks(conn, "mart", m.cycle_id)]
            found += [laws.clocks_agree(derive.universe_as_of(pipeline, conn, m)) for m in manifests[-1:]]
    violations = pl.concat(found) if found else pl.DataFrame(schema=laws.VIOLATIONS)
    return result(violations, "Compare the platform's kickoffs with another source before trusting its coverage.", dg.AssetCheckSeverity.WARN)


@dg.asset_check(asset=["mart", "mapping_coverage"], blocking=True, partitions_def=hours)
def mapped_and_unmapped_add_up(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """Mapped and unmapped markets together are all that were seen, and every unmapped one is in the ledger."""
    (coverage,) = _hour_frames(context, pipeline, "mapping_coverage")
    (unmapped,) = _hour_frames(context, pipeline, "unmapped_markets", schema="core")
    return result(pl.concat([laws.mapping_adds_up(coverage, unmapped), laws.rates_are_ratios(coverage)]), MEND)


@dg.asset_check(asset=["mart", "mapping_coverage"], partitions_def=hours)
def markets_are_mapped(context: dg.AssetCheckExecutionContext, pipeline: dg.ResourceParam[Pipeline]) -> dg.AssetCheckResult:
    """In the hour's last full cycle no platform's mapped rate is below PALIMPSEST_MIN_MAPPED_RATE or well below that of the full cycle before."""
    found = []
    with pipeline.connect() as conn:
        for key in context.partition_keys:
            full = [m.cycle_id for m in pipeline.landing.cycles(hour=parse_hour_key(key)) if m.scope is Scope.FULL]
            rates = mapping.mapped_rates(conn, max(full, default=0))
            if rates["cycle_id"].is_in(full).any():  # a cycle that showed no book has no rates; those before it are their own hours' matter
                found.append(laws.markets_are_mapped(rates, pipeline.settings.min_mapped_rate))
    violations = pl.concat(found) if found else pl.DataFrame(schema=laws.VIOLATIONS)
    return result(violations, "See mart.unmapped_market for what is missing, most important first.", dg.AssetCheckSeverity.WARN)
