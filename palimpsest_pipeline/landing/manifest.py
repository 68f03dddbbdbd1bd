"""The manifest of a cycle: its facts and the list of its segments. No file access here.

Readers ignore segments of a cycle without a manifest.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import Platform, RunStatus, Scope, Trigger

WRITER_TAG_PATTERN: Final = re.compile(r"-[0-9a-f]+(?=\.parquet$)")
"""Matches the writer's tag in the name of a segment."""


class Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of answers, which is never changed.

    `name` is relative to the cycle's folder. `bytes` is the file's size, and `sha` its SHA-256 in hex.
    """

    name: str
    platform: Platform
    rows: int
    bytes: int
    sha: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The facts of a landed cycle and the list of its segments.

    `stages` are the finished stages of the cycle, in order, e.g. discovery, capture. `late` are the platforms whose
    discovery had not ended when the stage ended. `platforms` are those that the cycle covers; older versions, which
    had only three platforms, did not write them. `torn` names files that should be segments and cannot be read because
    writing them broke off; they are ignored.
    """

    cycle_id: int
    trigger: Trigger
    scope: Scope
    home_platform: Platform
    partition_hour: datetime
    started_at: datetime
    finished_at: datetime
    run_id: str | None
    sr_ids: tuple[int, ...]
    status: RunStatus
    stages: tuple[str, ...]
    segments: tuple[Segment, ...]
    torn: tuple[str, ...] = ()
    late: tuple[Platform, ...] = ()
    platforms: tuple[Platform, ...] = ()

    @property
    def digest(self) -> str:
        """A digest of the landed content.

        It changes only with the numbers, row counts or bytes of the segments. Names of writers do not change it.
        """
        lines = sorted(
            f"{WRITER_TAG_PATTERN.sub('', segment.name)} {segment.rows} {segment.sha}" for segment in self.segments
        )
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    @property
    def rows(self) -> int:
        return sum(segment.rows for segment in self.segments)

    @property
    def bytes(self) -> int:
        """Total size of the segments in bytes."""
        return sum(segment.bytes for segment in self.segments)

    @property
    def cycle(self) -> Cycle:
        """The cycle as it was when it started."""
        return Cycle(
            cycle_id=self.cycle_id,
            trigger=self.trigger,
            scope=self.scope,
            home_platform=self.home_platform,
            partition_hour=self.partition_hour,
            started_at=self.started_at,
            run_id=self.run_id,
            sr_ids=self.sr_ids,
            platforms=self.platforms,
        )


def build_manifest(
    cycle: Cycle,
    status: RunStatus,
    finished_at: datetime,
    stages: Sequence[str],
    segments: Iterable[Segment],
    torn: Iterable[str] = (),
    late: Iterable[Platform] = (),
) -> Manifest:
    """Return the manifest of `cycle`, with its segments in a fixed order."""
    return Manifest(
        cycle_id=cycle.cycle_id,
        trigger=cycle.trigger,
        scope=cycle.scope,
        home_platform=cycle.home_platform,
        partition_hour=cycle.partition_hour.astimezone(UTC),
        started_at=cycle.started_at.astimezone(UTC),
        finished_at=finished_at.astimezone(UTC),
        run_id=cycle.run_id,
        sr_ids=tuple(cycle.sr_ids),
        status=status,
        stages=tuple(dict.fromkeys(stages)),
        segments=tuple(sorted(segments, key=lambda segment: segment.name)),
        torn=tuple(sorted(torn)),
        late=tuple(dict.fromkeys(late)),
        platforms=cycle.platforms,
    )
