"""The content of a landed cycle as frames with the columns of the core tables.

Reads the landing with the platforms' parsers, and writes nothing. Imports no Dagster.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import polars as pl

from palimpsest_pipeline.domain.enums import PayloadKind, Platform, Scope
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Discovery
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.matching import find_country_iso
from palimpsest_pipeline.storage.catalog.listings import LISTING_SCHEMA, MANIFEST_SCHEMA, TOURNAMENT_SCHEMA, CycleFacts

from ..context import Pipeline
from .books import Books, ObservedListing, frame_listings, group_details, read_observed_listings

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
        for part in pipeline.book_reader.iterate_parts(manifest, platform):
            if isinstance(part, Books):
                frames.append(part.listings)
            else:
                adapter = pipeline.get_adapter(platform)
                frames.append(frame_listings(read_observed_listings(group_details(part, adapter), adapter)))
    return pl.concat(frames)


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


def _find_country_iso(country_raw: str | None) -> str | None:
    return find_country_iso(country_raw) if country_raw else None
