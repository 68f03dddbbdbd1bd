"""From core to mart: read the universe as of a cycle, compute, replace the cycle's rows. Knows no Dagster."""

from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import Completeness, Platform, Scope
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.markets.proposals import proposals
from palimpsest_pipeline.matching import crosswalk, fixtures, identify, rivals
from palimpsest_pipeline.metrics import (
    Universe,
    coverage_fixture,
    coverage_tournament,
    mapping_coverage,
    match_rate_platform,
    run_quality,
    unmapped_market,
)
from palimpsest_pipeline.metrics.coverage import coverage_laws
from palimpsest_pipeline.metrics.coverage.run_quality import ANSWERS
from palimpsest_pipeline.storage.catalog import listings, universe
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.ledger import rejected_answers
from palimpsest_pipeline.storage.marts import cycle_marts, mapping_ledger, mart_reader, quality_inputs
from palimpsest_pipeline.storage.odds import book_sizes

from ..context import Pipeline
from ..ingest import cycle_frames
from ..ingest.write_core import trusted

COVERAGE_SCOPES: Final = (Scope.FULL, Scope.RECORDED)
"""Cycles that coverage is computed as of. A cycle that asked for given fixtures can say nothing about the others."""

COVERAGE: Final = derived_products.COVERAGE
"""The product that the three coverage tables are, as it is marked."""

RUN_QUALITY: Final = "run_quality"
MAPPING_COVERAGE: Final = "mapping_coverage"

COVERAGE_TABLES: Final = ("coverage_fixture", "coverage_tournament", "match_rate_platform")


class LawBroken(Exception):
    """What was derived contradicts itself: a defect of ours, and nothing of it is written."""


def universe_as_of(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> Universe:
    """What is known of every fixture on every platform as of a cycle."""
    trust = trusted(pipeline, manifest)
    claims, looked = universe.universe(conn, manifest.cycle_id)
    as_of = listings.read_as_of(conn, manifest.cycle_id)
    identified = identify(book_sizes.with_largest_books(conn, claims, rivals(claims), until=as_of, cycle_id=manifest.cycle_id))
    tournaments, links = crosswalk(identified, trust)
    return Universe.of(
        identified,
        fixtures(identified, links, trust),
        looked,
        links,
        tournaments,
        as_of=as_of,
        home=manifest.home_platform,
        platforms=trust,
    )


def derive_coverage(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """The three coverage tables of one cycle, from one reading of the universe, so that they add up.

    Later cycles that may carry what this one discovered are due again: a cycle that arrives late changes what they rest on.
    """
    known = universe_as_of(pipeline, conn, manifest)
    rates = match_rate_platform(
        known,
        completeness=_completeness(pipeline, conn, manifest),
        previous=mart_reader.before(conn, "mart.match_rate_platform", manifest.cycle_id),
    )
    lost = coverage_laws.no_listing_is_lost(known, rates)
    if not lost.is_empty():
        raise LawBroken(f"cycle {manifest.cycle_id}: {'; '.join(lost['violation'].head(3))}. Please report it.")
    written = 0
    for table, frame in zip(COVERAGE_TABLES, (coverage_fixture(known), coverage_tournament(known), rates), strict=True):
        written += cycle_marts.replace(
            conn, f"mart.{table}", manifest.cycle_id, frame.with_columns(mapping_version=pl.lit(pipeline.vocabulary.version))
        )
    derived_products.unmark_carrying(conn, COVERAGE, manifest.cycle_id, universe.CARRY_LIMIT)
    return written


def _completeness(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> dict[Platform, Completeness]:
    """How the cycle's own discovery of each platform went. Recorded payloads discover nothing whole."""
    if manifest.scope is Scope.RECORDED:
        return dict.fromkeys(pipeline.platforms, Completeness.PARTIAL)
    trees = cycle_marts.read(conn, "core.discovery_manifest", manifest.cycle_id).filter(pl.col("external_id") == cycle_frames.WHOLE_TREE)
    return {Platform(p): Completeness(c) for p, c in trees.select("platform", "completeness").iter_rows()}


def derive_run_quality(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """How complete and how fast each stage of each platform's part was, from the landing and from what core stored.

    Later cycles that are measured by what this one fetched are due again when that is another number now.
    """
    cycle_id = manifest.cycle_id
    before = cycle_marts.read(conn, "mart.run_quality", cycle_id)
    frame = run_quality(
        pipeline.landing.read(manifest, columns=list(ANSWERS)),
        manifests=cycle_marts.read(conn, "core.discovery_manifest", cycle_id),
        discovered=quality_inputs.discovered(conn, cycle_id),
        history=quality_inputs.captures(conn, cycle_id),
        rejects=rejected_answers.reject_counts(conn, cycle_id),
        medians=quality_inputs.fetched_medians(conn, cycle_id),
        as_of=listings.read_as_of(conn, cycle_id),
        scope=manifest.scope,
        platforms=pipeline.platforms,
    )
    written = cycle_marts.replace(conn, "mart.run_quality", cycle_id, frame.with_columns(mapping_version=pl.lit(pipeline.vocabulary.version)))
    said = [set(rows.select("platform", "stage", "completeness", "fetched").iter_rows()) for rows in (before, frame)]
    if parts := sorted({(platform, stage) for platform, stage, *_ in said[0] ^ said[1]}):
        derived_products.unmark(conn, "mart", RUN_QUALITY, quality_inputs.measured_by(conn, cycle_id, parts))
    return written


def derive_mapping_coverage(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """How much of what each platform showed in one cycle the vocabulary knows."""
    cycle_id = manifest.cycle_id
    frame = mapping_coverage(
        cycle_marts.read(conn, "core.mapping_counts", cycle_id),
        mapping_ledger.matches_of_cycle(conn, cycle_id),
        listings.read_as_of(conn, cycle_id),
    )
    return cycle_marts.replace(conn, "mart.mapping_coverage", cycle_id, frame.with_columns(mapping_version=pl.lit(pipeline.vocabulary.version)))


def refresh_unmapped_market(pipeline: Pipeline, conn: psycopg.Connection) -> int:
    """The whole ledger, from every cycle that core holds, judged by the vocabulary of now. Not per cycle: one market has one row."""
    words = pipeline.vocabulary
    mapping_ledger.lock_ledger(conn)
    ledger = mapping_ledger.ledger(conn)
    frame = unmapped_market(ledger, words.keys, words.triage, proposals(ledger, words))
    return mapping_ledger.replace_ledger(conn, frame.with_columns(mapping_version=pl.lit(words.version)))
