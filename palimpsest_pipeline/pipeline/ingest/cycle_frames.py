"""The content of a landed cycle as frames with the columns of the core tables.

Reads the landing with the platforms' parsers, and writes nothing. Imports no Dagster.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain, islice
from typing import Final

import msgspec
import polars as pl

from palimpsest_pipeline.domain.enums import PayloadKind, Platform, Scope
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Discovery
from palimpsest_pipeline.landing import Manifest, Segment
from palimpsest_pipeline.matching import find_country_iso
from palimpsest_pipeline.storage.catalog.listings import LISTING_SCHEMA, MANIFEST_SCHEMA, TOURNAMENT_SCHEMA, CycleFacts

from ..context import Pipeline
from .books import Books, EarlyPart, ObservedListing, frame_listings, group_details, read_listings

DISCOVERY_KINDS: Final = (PayloadKind.TREE, PayloadKind.LISTING)
WHOLE_TREE_ID: Final = "*"


def read_answers(
    pipeline: Pipeline, manifest: Manifest, kinds: Sequence[PayloadKind], platforms: Sequence[Platform] | None = None
) -> list[Answer]:
    """Return the landed answers of the given kinds and platforms, with their bodies."""
    return list(
        pipeline.landing.iterate_answers(pipeline.landing.read_answers(manifest, kinds=kinds, platforms=platforms))
    )


def read_cycle_facts(pipeline: Pipeline, manifest: Manifest) -> CycleFacts:
    """Return the cycle's row in core.

    `as_of` is the instant of the cycle's last good discovery answer, or of its last good answer if it has no discovery.
    Failed answers do not count: a platform that is down produces failures until long after the discovery of the others.
    """
    received = pipeline.landing.read_answers(manifest, columns=["kind", "received_at", "failure"])
    discovery = received.filter(pl.col("kind").is_in([str(k) for k in DISCOVERY_KINDS]), pl.col("failure").is_null())
    last = (discovery if manifest.scope is Scope.FULL and discovery.height else received)["received_at"].max()
    return CycleFacts(
        cycle_id=manifest.cycle_id,
        partition_hour=manifest.partition_hour,
        trigger=manifest.trigger,
        scope=manifest.scope,
        home_platform=manifest.home_platform,
        as_of=last if isinstance(last, datetime) else manifest.started_at,
    )


def read_discoveries(
    pipeline: Pipeline, manifest: Manifest, platforms: Sequence[Platform]
) -> dict[Platform, tuple[Discovery, datetime]]:
    """Return by platform the discovery of a full cycle and the instant of its last good discovery answer.

    The result is empty for a cycle without discovery.
    """
    if manifest.scope is not Scope.FULL:
        return {}
    answers = read_answers(pipeline, manifest, DISCOVERY_KINDS, platforms)
    discoveries = {}
    for platform in platforms:
        platform_answers = [a for a in answers if a.request.platform == platform]
        at = max((a.observed_at for a in platform_answers if a.ok), default=manifest.started_at)
        discovery = pipeline.get_adapter(platform).read_discovery(platform_answers, pipeline.settings.sport)
        discoveries[platform] = (discovery, at)
    return discoveries


def read_cycle_listings(
    pipeline: Pipeline,
    manifest: Manifest,
    discoveries: dict[Platform, tuple[Discovery, datetime]],
    platforms: Sequence[Platform],
) -> pl.DataFrame:
    """Return the listings (`LISTING_SCHEMA`) in a cycle's `discoveries` and in its detail answers.

    An answer that cannot be read, or whose match is in play, is left out here; the derivation of the odds records it as
    refused.
    """
    discovered = frame_listings(list_discovered_listings(discoveries))
    return pl.concat([discovered, _read_detail_listings(pipeline, manifest, platforms)])


def _read_detail_listings(pipeline: Pipeline, manifest: Manifest, platforms: Sequence[Platform]) -> pl.DataFrame:
    frames = [pl.DataFrame(schema=LISTING_SCHEMA)]
    for platform in platforms:
        for part in _read_parts(
            pipeline, manifest, platform, pipeline.early_books.find_parts(manifest.cycle_id, platform)
        ):
            if isinstance(part, Books):
                frames.append(part.listings)
            else:
                frames.append(frame_listings(read_listings(part, pipeline.get_adapter(platform))))
    return pl.concat(frames)


def read_cycle_books(pipeline: Pipeline, manifest: Manifest, platform: Platform, batch_size: int) -> Iterator[Books]:
    """Yield the books of all detail answers of a platform.

    Books that were decoded during the scrape are reused; the others are read from the landing in batches of
    `batch_size` listings.
    """
    for part in _read_parts(pipeline, manifest, platform, pipeline.early_books.take_parts(manifest.cycle_id, platform)):
        if isinstance(part, Books):
            yield part
            continue
        attempts = group_details(part, pipeline.get_adapter(platform))
        for first in attempts:  # an iterator, because a list would have all bodies in memory at once
            batch = chain(first, chain.from_iterable(islice(attempts, batch_size - 1)))
            yield pipeline.normalise_books([pipeline.decode_books(platform, batch)])


def list_discovered_listings(discoveries: dict[Platform, tuple[Discovery, datetime]]) -> list[ObservedListing]:
    """Return the discovered listings, without those whose match is in play."""
    return [
        ObservedListing(x, at, PayloadKind.LISTING)
        for discovery, at in discoveries.values()
        for x in discovery.listings
        if not x.is_in_play
    ]


def frame_manifest(discoveries: dict[Platform, tuple[Discovery, datetime]]) -> pl.DataFrame:
    """Return rows of `listings.MANIFEST_SCHEMA`: one per platform for all listings, one per tournament."""
    rows: list[tuple[str, str, int | None, int, str, str]] = []
    for platform, (discovery, _) in discoveries.items():
        tournaments = discovery.tournaments
        rows.append(
            (
                platform,
                WHOLE_TREE_ID,
                None,
                sum(t.n_received for t in tournaments),
                discovery.completeness,
                discovery.reason,
            )
        )
        rows += [
            (platform, t.external_id, t.n_declared, t.n_received, t.completeness, t.missing_reason) for t in tournaments
        ]
    return pl.DataFrame(rows, schema=MANIFEST_SCHEMA, orient="row")


def frame_tournaments(discoveries: dict[Platform, tuple[Discovery, datetime]], listings: pl.DataFrame) -> pl.DataFrame:
    """Return rows of `storage.catalog.listings.TOURNAMENT_SCHEMA`, one per tournament.

    They contain the discovered tournaments and those that only listings (`LISTING_SCHEMA`) name.
    """
    declared = pl.DataFrame(
        [
            (
                t.platform,
                t.external_id,
                t.sport,
                t.name,
                t.country_raw,
                _find_country_iso(t.country_raw),
                t.sr_tournament_id,
                at,
            )
            for discovery, at in discoveries.values()
            for t in discovery.tournaments
        ],
        schema=TOURNAMENT_SCHEMA,
        orient="row",
    )
    countries = listings["country_raw"].drop_nulls().unique().to_list()
    claimed = listings.select(
        "platform",
        "sport",
        "country_raw",
        "sr_tournament_id",
        external_id="tournament_external_id",
        name="tournament_name",
        country_iso=pl.col("country_raw").replace_strict(
            countries, [_find_country_iso(raw) for raw in countries], default=None, return_dtype=pl.String
        ),
        seen_at="observed_at",
    )
    return pl.concat([declared, claimed.select(*TOURNAMENT_SCHEMA)]).unique()


def _read_parts(
    pipeline: Pipeline, manifest: Manifest, platform: Platform, read: Sequence[EarlyPart]
) -> Iterator[Books | Iterator[Answer]]:
    """Yield a platform's detail answers in order of arrival, as decoded books or as answers to decode.

    `read` are the parts that were decoded during the scrape. Only the bodies of one segment are in memory at a time.
    Failed attempts are left out, because they contain nothing about a listing.
    """

    segments = [segment for segment in manifest.segments if segment.platform == platform]
    early = {part.segments[0]: part for part in read}
    del read
    unread: list[Segment] = []
    while segments:
        part = early.pop(segments[0], None)  # popped, so that the memory of books is freed once they are written
        if part is None or part.books is None or tuple(segments[: len(part.segments)]) != part.segments:
            unread.append(segments.pop(0))
            continue
        if unread:
            yield _read_landed_details(pipeline, manifest, unread)
            unread = []
        yield part.books
        del segments[: len(part.segments)]
    if unread:
        yield _read_landed_details(pipeline, manifest, unread)


def _read_landed_details(pipeline: Pipeline, manifest: Manifest, segments: Sequence[Segment]) -> Iterator[Answer]:
    """Yield the landed detail answers of these segments of the cycle."""
    frames = pipeline.landing.read_segments(
        msgspec.structs.replace(manifest, segments=tuple(segments)), [PayloadKind.DETAIL]
    )
    return (answer for frame in frames for answer in pipeline.landing.iterate_answers(frame) if answer.ok)


def _find_country_iso(country_raw: str | None) -> str | None:
    return find_country_iso(country_raw) if country_raw else None
