"""The manifest of a cycle: which segments it was written as.

What has no manifest is not there for readers. No file access here.
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
"""The writer's tag in the name of a segment. Segments of earlier versions have none."""


class Segment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One immutable file of answers.

    `name` is relative to the cycle's folder, `bytes` is the file's size, `sha` its SHA-256 in hex.
    """

    name: str
    platform: Platform
    rows: int
    bytes: int
    sha: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a cycle landed. `stages` are the parts of the cycle that wrote to it, in order, e.g. discovery, capture.
    `late` are the platforms whose discovery had not come to its end when the stage ended. `torn` names files that
    should be segments and cannot be read, since writing them broke off; they count for nothing.
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

    @property
    def digest(self) -> str:
        """Identity of the landed content: changes with the segments' numbers, rows or bytes, and with nothing else:
        not with who wrote them.
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
        """Size of its segments as they were written; what they take once their hour is compacted, `Landing.usage`
        says.
        """
        return sum(segment.bytes for segment in self.segments)

    @property
    def cycle(self) -> Cycle:
        """The cycle as it was begun."""
        return Cycle(
            cycle_id=self.cycle_id,
            trigger=self.trigger,
            scope=self.scope,
            home_platform=self.home_platform,
            partition_hour=self.partition_hour,
            started_at=self.started_at,
            run_id=self.run_id,
            sr_ids=self.sr_ids,
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
    """Manifest of `cycle` with its segments in a fixed order."""
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
    )


def encode_manifest(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2)


def decode_manifest(text: bytes) -> Manifest:
    """Raises msgspec.DecodeError (msgspec.ValidationError) when the text is not a manifest."""
    return msgspec.json.decode(text, type=Manifest)
