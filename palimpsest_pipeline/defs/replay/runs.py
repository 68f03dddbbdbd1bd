"""Spans of hours as Dagster runs. Belongs here: cutting hours into spans, running one, whichever process does it. Does not: what is due."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

import dagster as dg

from ...storage.products import Schema
from ..launch import run_job
from ..partitions import HOURS_IN_A_RUN
from ..pipeline import Pipeline
from .plan import HOUR

JOB: Final = "replay"


class Cancelled(KeyboardInterrupt):
    """Somebody ended a run, here or in Dagster's UI: the backfill ends with it."""


@dataclass(frozen=True, slots=True)
class Span:
    """Hours without a gap between them, of one stage."""

    stage: Schema
    hours: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one hour of a stage went: `error` is None when all is well."""

    hour: datetime
    error: str | None


def spans(stage: Schema, hours: Sequence[datetime], most: int = HOURS_IN_A_RUN) -> list[Span]:
    """Hours in order cut where one is left out, and into pieces of equal size that hold at most so many."""
    stretches = [[hours[0]]] if hours else []
    for before, hour in pairwise(hours):
        if hour - before != HOUR:
            stretches.append([])
        stretches[-1].append(hour)
    cut = []
    for stretch in stretches:
        pieces = -(-len(stretch) // most)
        size = -(-len(stretch) // pieces)
        cut += [Span(stage, tuple(stretch[at : at + size])) for at in range(0, len(stretch), size)]
    return cut


def run_span(instance: dg.DagsterInstance, pipeline: Pipeline, span: Span) -> Iterator[Outcome]:
    """One run for all hours of the span; where it fails one for each of them, so that the failure is that hour's alone. Raises Cancelled."""
    for hours in [span.hours] if len(span.hours) == 1 else [span.hours, *((hour,) for hour in span.hours)]:
        outcome = run_job(instance, pipeline, JOB, hours[0], last=hours[-1] if len(hours) > 1 else None, group=span.stage)
        if outcome.cancelled:
            raise Cancelled
        if outcome.success or len(hours) == 1:
            yield from (Outcome(hour, None if outcome.success else outcome.error or "failed") for hour in hours)
        if outcome.success and hours == span.hours:
            return
