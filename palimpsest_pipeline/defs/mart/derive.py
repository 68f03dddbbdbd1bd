"""From core to mart: read the universe as of a cycle, compute, replace the cycle's rows. Knows no Dagster."""

import polars as pl
import psycopg

from ...domain.words import Platform, Scope
from ...landing import Manifest
from ...matching import crosswalk, identify
from ...metrics import coverage_fixture, coverage_tournament, match_rate_platform, run_quality
from ...storage import history, marts, universe
from ..core.ingest import as_of, competitors
from ..pipeline import Pipeline

COVERAGE_SCOPES = (Scope.FULL, Scope.RECORDED)
"""Cycles that coverage is computed as of. A cycle that asked for given fixtures can say nothing about the others."""

COVERAGE_TABLES = ("coverage_fixture", "coverage_tournament", "match_rate_platform")


def derive_coverage(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """The three coverage tables of one cycle: from one reading of the universe, so that they add up."""
    home, platforms = manifest.home_platform, [Platform(manifest.home_platform), *competitors(pipeline, manifest)]
    instant = as_of(pipeline, manifest)
    seen, looked = universe.universe(conn, manifest.cycle_id)
    identified = identify(seen)
    tournaments, links = crosswalk(identified, platforms)
    coverage = coverage_fixture(identified, looked, links, tournaments, as_of=instant, home=home, platforms=platforms)
    by_tournament = coverage_tournament(coverage, identified, looked, links, tournaments, as_of=instant, home=home, platforms=platforms)
    before = marts.previous_match_rates(conn, manifest.cycle_id)
    rates = match_rate_platform(coverage, identified, looked, links, as_of=instant, home=home, platforms=platforms, previous=before)
    stamp = (
        pl.lit(manifest.cycle_id, pl.Int64).alias("cycle_id"),
        pl.lit(pipeline.vocabulary.version).alias("mapping_version"),
        pl.lit(pipeline.clock.now()).alias("computed_at"),
    )
    frames = dict(zip(COVERAGE_TABLES, (coverage, by_tournament, rates), strict=True))
    for table, frame in frames.items():
        marts.replace(conn, table, manifest.cycle_id, frame.with_columns(*stamp))
    return sum(frame.height for frame in frames.values())


def derive_run_quality(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """How complete and how fast each stage of each platform's part was, from the landing and from what core stored."""
    answers = pipeline.landing.read(
        manifest, columns=["platform", "kind", "external_id", "attempt", "status", "failure", "requested_at", "received_at", "bytes"]
    )
    quality = run_quality(
        answers,
        manifests=marts.discovery_manifest(conn, manifest.cycle_id),
        history=history.stats_of_cycle(conn, manifest.cycle_id),
        rejects=marts.reject_counts(conn, manifest.cycle_id),
        earlier=marts.earlier_quality(conn, manifest.cycle_id),
        as_of=as_of(pipeline, manifest),
        platforms=list(pipeline.platforms),
    )
    frame = quality.with_columns(
        pl.lit(manifest.cycle_id, pl.Int64).alias("cycle_id"),
        pl.lit(pipeline.vocabulary.version).alias("mapping_version"),
        pl.lit(pipeline.clock.now()).alias("computed_at"),
    )
    marts.replace(conn, "run_quality", manifest.cycle_id, frame)
    return frame.height
