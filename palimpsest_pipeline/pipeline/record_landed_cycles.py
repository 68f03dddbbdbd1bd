"""Updates of `ops.landed_cycles`, the table of the cycles in the landing. Imports no Dagster."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

import psycopg

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.landing import Landing, LandingIncomplete, LandingUnreadable, Manifest
from palimpsest_pipeline.settings import DEFAULT_PLATFORMS
from palimpsest_pipeline.storage.derivation import landed_cycles
from palimpsest_pipeline.storage.derivation.due_products import delete_failures
from palimpsest_pipeline.storage.derivation.landed_cycles import LandedCycleRecord
from palimpsest_pipeline.storage.ledger import check_verdicts

from .context import Pipeline

ALL_HOURS: Final = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
"""Bounds that include every hour."""
MAX_NAMED_SEGMENTS: Final = 3


@dataclass(frozen=True, slots=True)
class RescanResult:
    """The result of `rescan_landing`: numbers of cycles by state, and of corrected rows."""

    n_whole: int = 0
    n_gone: int = 0
    n_corrected: int = 0
    damaged: dict[int, str] = field(default_factory=dict)
    """Ids of cycles whose files in the landing are incomplete or unreadable, with the reason."""


def list_covered_platforms(manifest: Manifest) -> tuple[Platform, ...]:
    """Return the platforms that a cycle covers, sorted by key.

    Manifests of older versions, which had only three platforms, do not name them.
    """
    return tuple(sorted(manifest.platforms or DEFAULT_PLATFORMS))


def record_closed(conn: psycopg.Connection, manifest: Manifest) -> None:
    """Record a cycle whose segments and manifest were just written, without checking that the files exist.

    The caller commits.
    """
    landed_cycles.write_landed_cycle(
        conn,
        LandedCycleRecord(
            manifest.cycle_id,
            manifest.partition_hour,
            manifest.scope,
            list_covered_platforms(manifest),
            manifest.digest,
            is_whole=True,
        ),
    )


def record_landed(
    pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest, *, list_segments: bool = False
) -> None:
    """Record a cycle whose manifest was just read from the landing. The caller commits.

    If the row already says that all segments of this manifest exist, they are listed again only with `list_segments`.
    An unchanged row is not written, because the lock on it would delay another process that derives a product of the
    cycle. Raises LandingError when the segments cannot be listed.
    """
    row = landed_cycles.read_landed_cycle(conn, manifest.cycle_id)
    if not list_segments and row is not None and row.is_whole and row.digest == manifest.digest:
        return
    if row != (cycle := _build_landed_cycle(pipeline.landing, manifest)):
        landed_cycles.write_landed_cycle(conn, cycle)


def record_gone(conn: psycopg.Connection, cycle_id: int) -> None:
    """Record that a cycle is no longer in the landing; delete its failures and check verdicts.

    They could never be resolved, because such a cycle cannot be derived again. The caller commits.
    """
    if row := landed_cycles.read_landed_cycle(conn, cycle_id):
        landed_cycles.write_landed_cycle(conn, replace(row, digest=None, is_whole=False, is_gone=True, problem=""))
    forget_cycles(conn, [cycle_id])


def record_unreadable(conn: psycopg.Connection, cycle_id: int, error: LandingUnreadable) -> None:
    """Record that the manifest of a cycle cannot be read. The caller commits."""
    if row := landed_cycles.read_landed_cycle(conn, cycle_id):
        landed_cycles.write_landed_cycle(
            conn, replace(row, scope=None, digest=None, is_whole=False, problem=str(error))
        )


def forget_cycles(conn: psycopg.Connection, cycle_ids: Sequence[int]) -> None:
    """Delete failures and check verdicts of cycles that are no longer in the landing. The caller commits."""
    delete_failures(conn, cycle_ids)
    check_verdicts.delete_verdicts(conn, cycle_ids)


def rescan_landing(pipeline: Pipeline, first: datetime | None = None, end: datetime | None = None) -> RescanResult:
    """Correct the rows of the hours in [first, end) from the landing's manifests, and commit.

    A cycle that is in core or the ledger but not in the landing is recorded as gone. Where its manifest cannot be read,
    its platforms are those of the ledger, else those of its row. The row of a cycle that is in none of them is deleted.
    Rows that other processes write meanwhile are kept. Raises LandingError when the landing cannot be listed.
    """
    first, end = first or ALL_HOURS[0], end or ALL_HOURS[1]
    with pipeline.connect() as conn:
        # Read before the landing is listed, so that a cycle that is closed in between does not count as gone.
        before = landed_cycles.read_cycles(conn, first, end)
        known_cycles = landed_cycles.read_known_cycles(conn, first, end)
        conn.commit()
        landed = {cycle.cycle_id: cycle for cycle in _list_cycles(pipeline.landing, first, end)}
        platforms = {cycle.cycle_id: cycle.platforms for cycle in (*before, *known_cycles) if cycle.platforms}
        cycles = [
            replace(cycle, platforms=cycle.platforms or tuple(sorted(platforms.get(cycle.cycle_id, DEFAULT_PLATFORMS))))
            for cycle in (*landed.values(), *(cycle for cycle in known_cycles if cycle.cycle_id not in landed))
        ]
        n_corrected = landed_cycles.replace_cycles(conn, before, cycles)
        forget_cycles(conn, [cycle.cycle_id for cycle in (*before, *known_cycles) if cycle.cycle_id not in landed])
    return RescanResult(
        n_whole=sum(cycle.is_whole for cycle in cycles),
        n_gone=sum(cycle.is_gone for cycle in cycles),
        n_corrected=n_corrected,
        damaged={cycle.cycle_id: cycle.problem for cycle in cycles if cycle.problem},
    )


def _list_cycles(landing: Landing, first: datetime, end: datetime) -> list[LandedCycleRecord]:
    cycles = landing.list_readable_cycles(first, end)
    unreadable = (
        LandedCycleRecord(cycle.cycle_id, cycle.hour, None, (), None, is_whole=False, problem=cycle.sentence)
        for cycle in cycles.unreadable
    )
    return [*(_build_landed_cycle(landing, manifest) for manifest in cycles.manifests), *unreadable]


def _build_landed_cycle(landing: Landing, manifest: Manifest) -> LandedCycleRecord:
    problem = ""
    try:
        if names := landing.find_missing_segments(manifest):
            remainder = " and others" if len(names) > MAX_NAMED_SEGMENTS else ""
            problem = f"{', '.join(names[:MAX_NAMED_SEGMENTS])}{remainder} missing"
    except (LandingIncomplete, LandingUnreadable) as error:
        problem = str(error)
    return LandedCycleRecord(
        manifest.cycle_id,
        manifest.partition_hour,
        manifest.scope,
        list_covered_platforms(manifest),
        manifest.digest,
        is_whole=not problem,
        problem=problem,
    )
