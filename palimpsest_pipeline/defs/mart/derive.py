"""From core to mart: read the universe as of a cycle, compute, replace the cycle's rows. Knows no Dagster."""

from typing import Final

import polars as pl
import psycopg

from ...domain.words import Completeness, Platform, Scope
from ...landing import Manifest
from ...matching import crosswalk, fixtures, identify
from ...metrics import Universe, coverage_fixture, coverage_tournament, match_rate_platform, run_quality
from ...metrics.quality import ANSWERS
from ...storage import mart_readers, marts, quality, rejects, universe
from ..core import readings
from ..core.ingest import trusted
from ..pipeline import Pipeline

COVERAGE_SCOPES: Final = (Scope.FULL, Scope.RECORDED)
"""Cycles that coverage is computed as of. A cycle that asked for given fixtures can say nothing about the others."""

COVERAGE_TABLES: Final = ("coverage_fixture", "coverage_tournament", "match_rate_platform")


def derive_coverage(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """The three coverage tables of one cycle, from one reading of the universe, so that they add up."""
    trust = trusted(pipeline, manifest)
    facts = readings.cycle_facts(pipeline, manifest)
    claims, looked = universe.universe(conn, manifest.cycle_id)
    identified = identify(claims)
    tournaments, links = crosswalk(identified, trust)
    known = Universe.of(
        identified,
        fixtures(identified, links, trust),
        looked,
        links,
        tournaments,
        as_of=facts.as_of,
        home=manifest.home_platform,
        platforms=trust,
    )
    rates = match_rate_platform(
        known,
        completeness=_completeness(pipeline, conn, manifest),
        previous=mart_readers.before(conn, "mart.match_rate_platform", manifest.cycle_id),
    )
    frames = (coverage_fixture(known), coverage_tournament(known), rates)
    written = 0
    for table, frame in zip(COVERAGE_TABLES, frames, strict=True):
        written += marts.replace(conn, f"mart.{table}", manifest.cycle_id, frame.with_columns(mapping_version=pl.lit(pipeline.vocabulary.version)))
    return written


def _completeness(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> dict[Platform, Completeness]:
    """How the cycle's own discovery of each platform went. Recorded payloads discover nothing whole."""
    if manifest.scope is Scope.RECORDED:
        return dict.fromkeys(pipeline.platforms, Completeness.PARTIAL)
    trees = marts.read(conn, "core.discovery_manifest", manifest.cycle_id).filter(pl.col("external_id") == readings.WHOLE_TREE)
    return {Platform(p): Completeness(c) for p, c in trees.select("platform", "completeness").iter_rows()}


def derive_run_quality(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """How complete and how fast each stage of each platform's part was, from the landing and from what core stored."""
    cycle_id = manifest.cycle_id
    frame = run_quality(
        pipeline.landing.read(manifest, columns=list(ANSWERS)),
        manifests=marts.read(conn, "core.discovery_manifest", cycle_id),
        discovered=quality.discovered(conn, cycle_id),
        history=quality.captures(conn, cycle_id),
        rejects=rejects.reject_counts(conn, cycle_id),
        medians=quality.fetched_medians(conn, cycle_id),
        as_of=readings.cycle_facts(pipeline, manifest).as_of,
        scope=manifest.scope,
        platforms=pipeline.platforms,
    )
    return marts.replace(conn, "mart.run_quality", cycle_id, frame.with_columns(mapping_version=pl.lit(pipeline.vocabulary.version)))
