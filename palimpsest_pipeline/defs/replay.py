"""Backfill from the command line: the replay job, hour by hour in order, for the hours that have landed cycles."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ..domain.instants import hour_key
from .instance import open_instance
from .launch import run_job
from .pipeline import Pipeline
from .servers import upgrade


@dataclass(slots=True)
class ReplayReport:
    """What a backfill did. Keys are hours; `failed` maps to the reason."""

    done: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return {"done": self.done, "empty": self.empty, "failed": self.failed}

    def sentence(self) -> str:
        empty = f"; {len(self.empty)} hours have nothing landed" if self.empty else ""
        return f"{len(self.done)} hours replayed{empty}"


def replay_hours(pipeline: Pipeline, first: datetime, last: datetime, say: Callable[[str], None]) -> ReplayReport:
    """Replay every hour from `first` to `last` that has landed cycles, oldest first: later hours carry what earlier ones discovered."""
    upgrade(pipeline)
    instance = open_instance(pipeline.settings)
    landed = {m.partition_hour for m in pipeline.landing.cycles(start=first, end=last + timedelta(hours=1))}
    report = ReplayReport()
    hour = first
    while hour <= last:
        key = hour_key(hour)
        if hour not in landed:
            report.empty.append(key)
        else:
            outcome = run_job(instance, pipeline, "replay", hour)
            say(f"{key}: {'replayed' if outcome.success else outcome.error}")
            if outcome.success:
                report.done.append(key)
            else:
                report.failed[key] = outcome.error or "failed"
        hour += timedelta(hours=1)
    return report
