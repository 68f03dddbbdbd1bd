"""The derivation of a cycle's marts: read core as of the cycle, compute, replace the cycle's rows.

Imports no Dagster.
"""

from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import Completeness, Platform, Scope
from palimpsest_pipeline.domain.platform_trust import put_home_first
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.markets import assign_to_platforms
from palimpsest_pipeline.markets.proposals import propose_mappings
from palimpsest_pipeline.matching import build_crosswalk, build_fixtures, identify_listings, list_rival_listings
from palimpsest_pipeline.metrics import (
    CoverageUniverse,
    build_coverage_fixture,
    build_coverage_tournament,
    build_mapping_coverage,
    build_match_rate_platform,
    build_run_quality,
    build_unmapped_market,
)
from palimpsest_pipeline.metrics.coverage import coverage_laws
from palimpsest_pipeline.metrics.coverage.run_quality import ANSWERS_SCHEMA
from palimpsest_pipeline.storage.catalog import listings_as_of
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.ledger import rejected_answers
from palimpsest_pipeline.storage.marts import board_reader, cycle_marts, mapping_ledger, quality_inputs
from palimpsest_pipeline.storage.marts.changed_fixtures import notify_readers_of_all
from palimpsest_pipeline.storage.odds import book_sizes
from palimpsest_pipeline.storage.push.sources import COVERAGE

from ..context import Pipeline
from ..ingest import cycle_frames
from ..push.enqueue import enqueue_events
from ..push.rules import refresh_rules

COVERAGE_SCOPES: Final = (Scope.FULL, Scope.RECORDED)
"""Scopes of the cycles for which coverage is derived.

A cycle of given fixtures says nothing about other fixtures.
"""
RUN_QUALITY_PRODUCT: Final = "run_quality"
MAPPING_COVERAGE_PRODUCT: Final = "mapping_coverage"

COVERAGE_TABLES: Final = ("coverage_fixture", "coverage_tournament", "match_rate_platform")


class LawBroken(Exception):
    """Derived rows contradict each other, which is a bug of this program. They are not written."""


def _read_universe(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> CoverageUniverse:
    """Return what is known about every fixture on every platform as of a cycle."""
    home, platforms = manifest.home_platform, pipeline.list_cycle_platforms(manifest)
    claims, looked_tournaments = listings_as_of.read_universe(conn, manifest.cycle_id, platforms)
    as_of = listings_as_of.read_as_of(conn, manifest.cycle_id)
    identified = identify_listings(
        book_sizes.add_largest_books(conn, claims, list_rival_listings(claims), until=as_of, cycle_id=manifest.cycle_id)
    )
    tournaments, links = build_crosswalk(identified, platforms, home)
    return CoverageUniverse.build(
        identified,
        build_fixtures(identified, links, put_home_first(home, platforms)),
        looked_tournaments,
        links,
        tournaments,
        as_of=as_of,
        home=home,
        platforms=platforms,
    )


def derive_coverage(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """Write the three coverage tables of one cycle, all from one read so that their sums agree.

    A later cycle uses this cycle's discovery where its own is incomplete. So coverage of these later cycles becomes due
    again. The traders' board is notified when the set of platforms without complete coverage has changed, because
    prices may not be derived again for a long time.
    """
    unseen_before = board_reader.read_unseen_platforms(conn)
    coverage_universe = _read_universe(pipeline, conn, manifest)
    rates = build_match_rate_platform(
        coverage_universe,
        completeness=_read_completeness(pipeline, conn, manifest),
        previous_counts=cycle_marts.read_rows_before(conn, "mart.match_rate_platform", manifest.cycle_id),
    )
    lost = coverage_laws.find_lost_listings(coverage_universe, rates)
    if not lost.is_empty():
        raise LawBroken(f"cycle {manifest.cycle_id}: {'; '.join(lost['violation'].head(3))}. Please report it.")
    written = 0
    for table, frame in zip(
        COVERAGE_TABLES,
        (build_coverage_fixture(coverage_universe), build_coverage_tournament(coverage_universe), rates),
        strict=True,
    ):
        written += cycle_marts.replace_cycle_rows(
            conn,
            f"mart.{table}",
            manifest.cycle_id,
            frame.with_columns(mapping_version=pl.lit(pipeline.vocabulary.version)),
        )
    derived_products.mark_carrying_cycles_due(
        conn, derived_products.COVERAGE_PRODUCT, manifest.cycle_id, listings_as_of.CARRY_LIMIT
    )
    if board_reader.read_unseen_platforms(conn) != unseen_before:
        notify_readers_of_all(conn)
    refresh_rules(pipeline)
    enqueue_events(pipeline, conn, COVERAGE.terms.name, [manifest.cycle_id])
    return written


def _read_completeness(
    pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest
) -> dict[Platform, Completeness]:
    """Return by platform how complete the cycle's discovery is. Imported answers always count as partial."""
    if manifest.scope is Scope.RECORDED:
        return dict.fromkeys(pipeline.list_cycle_platforms(manifest), Completeness.PARTIAL)
    trees = cycle_marts.read_mart_rows(conn, "core.discovery_manifest", manifest.cycle_id).filter(
        pl.col("external_id") == cycle_frames.WHOLE_TREE_ID
    )
    return {Platform(p): Completeness(c) for p, c in trees.select("platform", "completeness").iter_rows()}


def derive_run_quality(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """Write completeness and duration of each platform's stages in one cycle; return the number of rows.

    If these numbers have changed, run quality of later cycles becomes due again, because it is compared with them.
    """
    cycle_id = manifest.cycle_id
    before = cycle_marts.read_mart_rows(conn, "mart.run_quality", cycle_id)
    frame = build_run_quality(
        pipeline.landing.read_answers(manifest, columns=list(ANSWERS_SCHEMA)),
        manifests=cycle_marts.read_mart_rows(conn, "core.discovery_manifest", cycle_id),
        discovered_counts=quality_inputs.count_discovered_listings(conn, cycle_id),
        history=quality_inputs.read_capture_counts(conn, cycle_id),
        rejects=rejected_answers.count_rejects(conn, cycle_id),
        medians=quality_inputs.read_fetched_medians(conn, cycle_id),
        as_of=listings_as_of.read_as_of(conn, cycle_id),
        scope=manifest.scope,
        platforms=pipeline.list_cycle_platforms(manifest),
    )
    written = cycle_marts.replace_cycle_rows(
        conn, "mart.run_quality", cycle_id, frame.with_columns(mapping_version=pl.lit(pipeline.vocabulary.version))
    )
    old, new = (
        set(rows.select("platform", "stage", "completeness", "fetched").iter_rows()) for rows in (before, frame)
    )
    if parts := sorted({(platform, stage) for platform, stage, *_ in old ^ new}):
        derived_products.mark_product_due(
            conn, "mart", RUN_QUALITY_PRODUCT, quality_inputs.find_affected_cycles(conn, cycle_id, parts)
        )
    return written


def derive_mapping_coverage(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """Write the share of each platform's markets in one cycle that the vocabulary knows."""
    cycle_id = manifest.cycle_id
    frame = build_mapping_coverage(
        cycle_marts.read_mart_rows(conn, "core.mapping_counts", cycle_id),
        mapping_ledger.read_matches_of_cycle(conn, cycle_id),
        listings_as_of.read_as_of(conn, cycle_id),
    )
    return cycle_marts.replace_cycle_rows(
        conn, "mart.mapping_coverage", cycle_id, frame.with_columns(mapping_version=pl.lit(pipeline.vocabulary.version))
    )


def refresh_unmapped_market(pipeline: Pipeline, conn: psycopg.Connection) -> int:
    """Replace all rows of mart.unmapped_market, from all cycles in core and by the current vocabulary.

    Return the number of rows. The table is not derived cycle by cycle, because a market has one row for all cycles.
    """
    vocabulary = pipeline.vocabulary
    mapping_ledger.lock_unmapped_markets(conn)
    ledger = mapping_ledger.read_unmapped_markets(conn)
    keys, triage = (assign_to_platforms(rows, ledger["platform"]) for rows in (vocabulary.keys, vocabulary.triage))
    frame = build_unmapped_market(ledger, keys, triage, propose_mappings(ledger, vocabulary))
    return mapping_ledger.replace_unmapped_markets(conn, frame.with_columns(mapping_version=pl.lit(vocabulary.version)))
