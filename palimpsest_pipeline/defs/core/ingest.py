"""From landing to core: parse, normalise, match, write. One function per product, one transaction per cycle. Knows no Dagster.

Each product of a cycle is marked in the transaction that writes its rows, so a repeated run skips what is done and a dropped table takes its
marks with it. Live cycles, backfills and recorded payloads all pass through here.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import polars as pl
import psycopg

from ...domain.cycles import Cycle
from ...domain.exchange import Answer
from ...domain.observations import Detail, Discovery, Listing, PayloadRejected, Reject
from ...domain.words import PayloadKind, Platform, Scope
from ...landing import Manifest
from ...markets import market_rows, normalise
from ...matching import country_iso, crosswalk, fixtures, identify
from ...storage import history, listings, partitions, products, universe
from ..pipeline import Pipeline

Derive = Callable[[Pipeline, psycopg.Connection, Manifest], int]
"""Writes one product of one cycle inside the caller's transaction and returns the rows written."""

DISCOVERY: Final = (PayloadKind.TREE, PayloadKind.LISTING)


@dataclass(slots=True)
class Ingested:
    """What materializing one product of one hour did."""

    cycles: list[int] = field(default_factory=list)
    skipped: int = 0
    rows: int = 0


def ingest_hour(pipeline: Pipeline, hour: datetime, schema: str, product: str, derive: Derive, scopes: Iterable[Scope] = tuple(Scope)) -> Ingested:
    """Derive `product` for every cycle of `hour` that lacks it or was derived by older versions, oldest first.

    Raises LandingIncomplete, before any row is touched, when a cycle's landed segments are not all there.
    """
    wanted = set(scopes)
    manifests = {m.cycle_id: m for m in pipeline.landing.cycles(hour=hour) if m.scope in wanted}
    versions = {"parser_version": pipeline.parser_version, "mapping_version": pipeline.vocabulary.version}
    done = Ingested()
    with pipeline.connect() as conn:
        digests = {cycle_id: m.digest for cycle_id, m in manifests.items()}
        pending = sorted(products.pending(conn, schema, product, digests, **versions))
        done.skipped = len(manifests) - len(pending)
        conn.commit()
        for cycle_id in pending:
            manifest = manifests[cycle_id]
            pipeline.landing.verify(manifest)
            with conn.transaction():
                rows = derive(pipeline, conn, manifest)
                products.mark(conn, schema, product, cycle_id, manifest.digest, n_rows=rows, computed_at=pipeline.clock.now(), **versions)
            done.cycles.append(cycle_id)
            done.rows += rows
    return done


def answers_of(pipeline: Pipeline, manifest: Manifest, kinds: Sequence[PayloadKind], platforms: Sequence[Platform] | None = None) -> list[Answer]:
    """Landed answers of the kinds and platforms given, bodies included."""
    return list(pipeline.landing.answers(pipeline.landing.read(manifest, kinds=kinds, platforms=platforms)))


def discoveries(pipeline: Pipeline, manifest: Manifest, platforms: Sequence[Platform]) -> dict[Platform, Discovery]:
    """Readings of what a full cycle discovered; empty for a cycle that does not discover."""
    if manifest.scope is not Scope.FULL:
        return {}
    answers = answers_of(pipeline, manifest, DISCOVERY, platforms)
    return {
        p: pipeline.adapters[p].read_discovery([a for a in answers if a.request.platform == p], pipeline.settings.sport) for p in platforms
    }


def last_details(answers: Iterable[Answer]) -> list[Answer]:
    """The usable answer per listing and instant: failed attempts say nothing about a listing."""
    return [a for a in answers if a.ok]


def as_of(pipeline: Pipeline, manifest: Manifest) -> datetime:
    """The instant a cycle's statements are about: its last discovery answer, or its last answer where nothing was discovered."""
    received = pipeline.landing.read(manifest, columns=["kind", "received_at"])
    discovery = received.filter(pl.col("kind").is_in([k.value for k in DISCOVERY]))
    last = (discovery if manifest.scope is Scope.FULL and discovery.height else received)["received_at"].max()
    return last if isinstance(last, datetime) else manifest.started_at


def cycle_of(manifest: Manifest) -> Cycle:
    return Cycle(
        manifest.cycle_id,
        manifest.trigger,
        manifest.scope,
        manifest.home_platform,
        manifest.partition_hour,
        manifest.started_at,
        manifest.run_id,
        tuple(manifest.sr_ids),
    )


def derive_tournaments(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """The cycle's own row, what discovery was promised and got, and the platforms' tournaments."""
    found = discoveries(pipeline, manifest, pipeline.platforms)
    instant = as_of(pipeline, manifest)
    listings.write_cycle(conn, cycle_of(manifest), instant)
    seen = [t for d in found.values() for t in d.tournaments]
    recorded, rejects = _listings_of_details(pipeline, manifest, pipeline.platforms)
    rows = listings.write_discovery(
        conn,
        manifest.cycle_id,
        as_of=instant,
        discoveries=list(found.values()),
        also_seen=[listing for listing, _ in recorded],
        iso={raw: country_iso(raw) for raw in {t.country_raw for t in seen} | {r.country_raw for r, _ in recorded} if raw},
    )
    listings.write_rejects(conn, manifest.cycle_id, PayloadKind.LISTING, [r for d in found.values() for r in d.rejects])
    listings.write_rejects(conn, manifest.cycle_id, PayloadKind.DETAIL, rejects)
    return rows


def derive_events(platforms_of: Callable[[Pipeline, Manifest], Sequence[Platform]]) -> Derive:
    """Listings of the platforms that `platforms_of` names, as discovered and as their own answers state them."""

    def derive(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
        platforms = platforms_of(pipeline, manifest)
        discovered = discoveries(pipeline, manifest, platforms)
        details, _ = _listings_of_details(pipeline, manifest, platforms)
        seen_at = _discovery_instants(pipeline, manifest, platforms)
        return listings.write_listings(
            conn,
            manifest.cycle_id,
            discovered=[(listing, seen_at[p]) for p, d in discovered.items() for listing in d.listings if not listing.in_play],
            details=details,
            platforms=platforms,
        )

    return derive


def home_platform(pipeline: Pipeline, manifest: Manifest) -> Sequence[Platform]:  # noqa: ARG001 - one of two rules with the same shape
    return [manifest.home_platform]


def competitors(pipeline: Pipeline, manifest: Manifest) -> Sequence[Platform]:
    return [p for p in pipeline.platforms if p != manifest.home_platform]


derive_home_events = derive_events(home_platform)
derive_competitor_events = derive_events(competitors)


def derive_odds(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """Every detail answer as a capture, and the markets that changed since the answer before."""
    written = 0
    for platform in pipeline.platforms:
        answers = last_details(answers_of(pipeline, manifest, [PayloadKind.DETAIL], [platform]))
        details = [(a, d) for a in answers if (d := _detail(pipeline, a)) is not None and not d.listing.in_play]
        if details:
            written += _write_odds(pipeline, conn, manifest, platform, details)
    return written


def _write_odds(
    pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest, platform: Platform, details: Sequence[tuple[Answer, Detail]]
) -> int:
    normal = normalise(raw_frame(details), pipeline.vocabulary)
    rows = market_rows(normal.prices, pipeline.vocabulary)
    ids = listings.listing_ids(conn, [(platform, d.listing.external_id) for _, d in details])
    index = pl.DataFrame(
        {
            "capture": range(len(details)),
            "listing_id": [ids[platform, d.listing.external_id] for _, d in details],
            "observed_at": [a.observed_at for a, _ in details],
        },
        schema={"capture": pl.UInt32, "listing_id": pl.Int32, "observed_at": pl.Datetime("us", "UTC")},
    )
    priced = rows.group_by("capture").agg(
        (pl.col("state") == "offered").sum().cast(pl.Int32).alias("n_markets_priced"),
        pl.col("odds_milli").list.drop_nulls().list.len().sum().cast(pl.Int32).alias("n_prices"),
    )
    captures = index.join(normal.counts, on="capture", how="left").join(priced, on="capture", how="left").fill_null(0)
    partitions.ensure(conn, captures["observed_at"].dt.date().unique().to_list())
    stats = history.ingest(
        conn,
        captures.drop("capture"),
        rows.join(index, on="capture").drop("capture"),
        cycle_id=manifest.cycle_id,
        mapping_version=pipeline.vocabulary.version,
        ingested_at=pipeline.clock.now(),
        lock_key=pipeline.platforms.index(platform),
    )
    listings.write_priced_markets(conn, captures.select("listing_id", "observed_at", "n_markets_priced"))
    listings.write_unmapped(conn, manifest.cycle_id, platform, normal.unmapped)
    return stats.n_rows_written


def raw_frame(details: Sequence[tuple[Answer, Detail]]) -> pl.DataFrame:
    """Raw prices of several answers as one frame; `capture` is the answer's place in `details`."""
    frames = [
        pl.DataFrame(
            {name: getattr(d.prices, name) for name in RAW_COLUMNS},
            schema=RAW_COLUMNS,
        ).with_columns(
            pl.lit(i, pl.UInt32).alias("capture"),
            pl.lit(d.listing.platform.value).alias("platform"),
            pl.lit(d.listing.sport.value).alias("sport"),
        )
        for i, (_, d) in enumerate(details)
    ]
    return pl.concat(frames)


RAW_COLUMNS: Final = {
    "market_id": pl.String,
    "market_name": pl.String,
    "specifier": pl.String,
    "outcome_id": pl.String,
    "outcome_name": pl.String,
    "odds_milli": pl.Int32,
    "off": pl.Boolean,
}


def derive_matched(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """Fixtures and tournaments joined anew from all listings that the cycle touches: order of arrival cannot matter."""
    claims = universe.touched_by_cycle(conn, manifest.cycle_id)
    if claims.is_empty():
        return 0
    trust = [manifest.home_platform, *competitors(pipeline, manifest)]
    identified = identify(claims)
    tournaments, links = crosswalk(identified, trust)
    found = fixtures(identified, links, trust)
    listings.write_matching(conn, identified, found, tournaments, links)
    return found.height


def _detail(pipeline: Pipeline, answer: Answer) -> Detail | None:
    try:
        return pipeline.adapters[answer.request.platform].read_detail(answer)
    except PayloadRejected:
        return None  # written to core.rejects with the listings


def _listings_of_details(pipeline: Pipeline, manifest: Manifest, platforms: Sequence[Platform]) -> tuple[list[tuple[Listing, datetime]], list[Reject]]:
    """What each detail answer says of its own listing; answers that cannot be read, or show a match in play, are rejects."""
    good: list[tuple[Listing, datetime]] = []
    bad: list[Reject] = []
    for answer in last_details(answers_of(pipeline, manifest, [PayloadKind.DETAIL], platforms)):
        platform = answer.request.platform
        try:
            listing = pipeline.adapters[platform].read_listing(answer)
        except PayloadRejected as rejected:
            bad.append(Reject(platform, answer.request.external_id, rejected.path, rejected.reason))
            continue
        if listing.in_play:
            bad.append(Reject(platform, listing.external_id, "$", "in play: out of scope for prematch odds"))
        else:
            good.append((listing, answer.observed_at))
    return good, bad


def _discovery_instants(pipeline: Pipeline, manifest: Manifest, platforms: Sequence[Platform]) -> dict[Platform, datetime]:
    """Per platform, when its last discovery answer was observed: the instant at which its lists were seen."""
    frame = pipeline.landing.read(manifest, kinds=DISCOVERY, platforms=platforms, columns=["platform", "observed_at"])
    last = frame.group_by("platform").agg(pl.col("observed_at").max())
    found = {Platform(p): at for p, at in last.iter_rows()}
    return {p: found.get(p, manifest.started_at) for p in platforms}
