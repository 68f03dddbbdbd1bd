"""What is to be derived, hour by hour, and what cannot be: from the landing, the ledger and the marks of products. Knows no Dagster.

Belongs here: judging. Does not: deriving anything; a product's own rule of what is due is `storage.products.pending`, which this one agrees with.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from ...domain.instants import hour_key
from ...landing import LandingUnreadable, Manifest
from ...storage import staleness
from ...storage.products import Schema
from ..core.derive import PRODUCTS, marks_of
from ..mart import derive
from ..pipeline import Pipeline

HOUR: Final = timedelta(hours=1)
EVER: Final = (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))
"""Every hour there can be."""
MART_OF_EVERY_CYCLE: Final = ("run_quality", "mapping_coverage")


class Why(StrEnum):
    """Why a product of a cycle is due. In order of precedence."""

    MISSING = "not derived"
    CONTENT = "other content was landed"
    PARSER = "another parser version"
    MAPPING = "another mapping version"


@dataclass(frozen=True, slots=True, order=True)
class Product:
    """One product of one cycle."""

    stage: Schema
    cycle_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Versions:
    """What products are derived with now."""

    parser: str
    mapping: str

    @classmethod
    def of(cls, pipeline: Pipeline) -> "Versions":
        return cls(pipeline.parser_version, pipeline.vocabulary.version)


@dataclass(frozen=True, slots=True)
class Mark:
    """From what a product was derived."""

    digest: str
    versions: Versions


@dataclass(frozen=True, slots=True)
class Gone:
    """A cycle whose answers are not all in the landing any more. `stale`: its rows would be others if they were derived now, or are missing."""

    cycle_id: int
    sentence: str
    stale: bool


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of the range. An hour without landed and gone cycles never had anything."""

    at: datetime
    landed: tuple[Manifest, ...] = ()
    due: Mapping[Product, Why] = field(default_factory=dict)
    gone: tuple[Gone, ...] = ()
    torn: tuple[Gone, ...] = ()
    """Cycles that lack segments, or whose manifest cannot be read: while one of them is there, nothing of the hour can be derived."""

    @property
    def key(self) -> str:
        return hour_key(self.at)

    @property
    def lost(self) -> tuple[Gone, ...]:
        return (*self.gone, *self.torn)

    @property
    def can_be_derived(self) -> bool:
        return bool(self.due) and not self.torn

    def why(self) -> str:
        """Why it is due, in words: `odds_snapshots/bet9ja: another parser version; ...`, products with the same reason together."""
        names: defaultdict[Why, list[str]] = defaultdict(list)
        for product, why in self.due.items():
            if product.name not in names[why]:
                names[why].append(product.name)
        return "; ".join(f"{why}: {', '.join(names[why])}" for why in Why if names[why])


def products_of(pipeline: Pipeline, manifest: Manifest) -> list[Product]:
    """Everything that is derived from a cycle of this scope and marked."""
    core = marks_of(PRODUCTS, pipeline.platforms)
    mart = [*([derive.COVERAGE] if manifest.scope in derive.COVERAGE_SCOPES else []), *MART_OF_EVERY_CYCLE]
    return [Product("core", manifest.cycle_id, name) for name in core] + [Product("mart", manifest.cycle_id, name) for name in mart]


def judge(found: Mark | None, digest: str | None, now: Versions) -> Why | None:
    """Why a product with this mark is due; None when it stands. `digest` None: what was landed cannot be compared any more."""
    if found is None:
        return Why.MISSING
    if digest is not None and found.digest != digest:
        return Why.CONTENT
    if found.versions.parser != now.parser:
        return Why.PARSER
    return Why.MAPPING if found.versions.mapping != now.mapping else None


def read_marks(pipeline: Pipeline, cycle_ids: Iterable[int]) -> dict[Product, Mark]:
    with pipeline.connect() as conn:
        rows = staleness.standing(conn, sorted(cycle_ids)).select(staleness.MARKS.keys()).iter_rows()
        return {Product(stage, cycle_id, name): Mark(digest, Versions(parser, mapping)) for stage, cycle_id, name, digest, parser, mapping in rows}


def due(pipeline: Pipeline, manifests: Sequence[Manifest]) -> dict[Product, Why]:
    """What is due of these cycles."""
    marks = read_marks(pipeline, [m.cycle_id for m in manifests])
    now = Versions.of(pipeline)
    judged = ((product, judge(marks.get(product), m.digest, now)) for m in manifests for product in products_of(pipeline, m))
    return {product: why for product, why in judged if why is not None}


def plan(pipeline: Pipeline, first: datetime | None = None, last: datetime | None = None) -> list[Hour]:
    """The hours from `first` to `last`, both included, in order; without bounds those that have landed or known cycles. Changes nothing."""
    begin, end = first or EVER[0], EVER[1] if last is None else last + HOUR
    readable = pipeline.landing.readable_cycles(begin, end)
    landed, unreadable = {m.cycle_id: m for m in readable.manifests}, {cycle.cycle_id: cycle for cycle in readable.unreadable}
    with pipeline.connect() as conn:
        known = dict(staleness.known_cycles(conn, begin, end).select("cycle_id", "partition_hour").iter_rows())
    missing = {cycle_id: at for cycle_id, at in known.items() if cycle_id not in landed and cycle_id not in unreadable}
    of_hour: defaultdict[datetime, list[Manifest]] = defaultdict(list)
    for manifest in landed.values():
        of_hour[manifest.partition_hour].append(manifest)
    to_do: defaultdict[datetime, dict[Product, Why]] = defaultdict(dict)
    for product, why in due(pipeline, list(landed.values())).items():
        to_do[landed[product.cycle_id].partition_hour][product] = why
    lost: defaultdict[datetime, list[Gone]] = defaultdict(list)
    for gone in _lost(pipeline, {cycle_id: f"cycle {cycle_id} is no longer in the landing; its rows stay as they are" for cycle_id in missing}):
        lost[missing[gone.cycle_id]].append(gone)
    torn: defaultdict[datetime, list[Gone]] = defaultdict(list)
    for gone in _lost(pipeline, {cycle_id: _unreadable(cycle_id, found.sentence) for cycle_id, found in unreadable.items()}):
        torn[unreadable[gone.cycle_id].hour].append(gone)
    return [
        Hour(at, tuple(of_hour[at]), to_do[at], tuple(lost[at]), (*torn[at], *_torn(pipeline, of_hour[at], to_do[at])))
        for at in (_every(first, last) if first and last else sorted({*of_hour, *lost, *torn}))
    ]


def _every(first: datetime, last: datetime) -> Iterator[datetime]:
    while first <= last:
        yield first
        first += HOUR


def _lost(pipeline: Pipeline, sentences: Mapping[int, str]) -> Iterator[Gone]:
    """Cycles without a readable manifest. Their scope is not known without it: stale is what has no mark at all, or one of other versions."""
    now = Versions.of(pipeline)
    versions: defaultdict[int, set[Versions]] = defaultdict(set)
    for product, mark in read_marks(pipeline, sentences).items():
        versions[product.cycle_id].add(mark.versions)
    for cycle_id, sentence in sentences.items():
        yield Gone(cycle_id, sentence, versions[cycle_id] != {now})


def _unreadable(cycle_id: int, sentence: str) -> str:
    return f"cycle {cycle_id} cannot be read in the landing: {sentence} The hour's rows stay as they are"


def _torn(pipeline: Pipeline, manifests: Iterable[Manifest], to_do: Mapping[Product, Why]) -> Iterator[Gone]:
    stale = {product.cycle_id for product in to_do}
    for manifest in manifests:
        try:
            names = pipeline.landing.missing(manifest)
        except LandingUnreadable as error:
            yield Gone(manifest.cycle_id, _unreadable(manifest.cycle_id, str(error)), manifest.cycle_id in stale)
            continue
        if names:
            shown = f"{', '.join(names[:3])}{' and others' if len(names) > 3 else ''}"
            yield Gone(
                manifest.cycle_id,
                f"cycle {manifest.cycle_id} is not whole in the landing, {shown} missing; the hour's rows stay as they are. Restore the segments, or "
                "remove what is left of the cycle so that the rest of the hour can be derived",
                manifest.cycle_id in stale,
            )
