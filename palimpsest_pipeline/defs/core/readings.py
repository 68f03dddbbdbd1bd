"""What a landed cycle says, as the frames that storage takes. Reads the landing and the dialects; writes nothing. Knows no Dagster."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import polars as pl

from ...domain.exchange import Answer
from ...domain.observations import IN_PLAY, MAX_KICKOFF_DISTANCE, Detail, Discovery, Listing, PayloadRejected, Reject
from ...domain.words import PayloadKind, Platform, Scope
from ...landing import Manifest
from ...matching import country_iso
from ...storage.listings import LISTING_SCHEMA, MANIFEST_SCHEMA, TOURNAMENT_SCHEMA, CycleFacts
from ..pipeline import Pipeline

DISCOVERY: Final = (PayloadKind.TREE, PayloadKind.LISTING)
OUT_OF_SCOPE: Final = f"{IN_PLAY}: out of scope for prematch odds"
NO_PRICE: Final = "the book has outcomes and no price"
WHOLE_TREE: Final = "*"
NOT_CREDIBLE: Final = f"kickoff {{}}: not taken as a claim, since it is more than {MAX_KICKOFF_DISTANCE.days // 365} years from the answer"


@dataclass(frozen=True, slots=True)
class Seen:
    """A listing as one answer showed it."""

    listing: Listing
    observed_at: datetime
    kind: PayloadKind


def answers_of(pipeline: Pipeline, manifest: Manifest, kinds: Sequence[PayloadKind], platforms: Sequence[Platform] | None = None) -> list[Answer]:
    """Landed answers of the kinds and platforms given, bodies included."""
    return list(pipeline.landing.answers(pipeline.landing.read(manifest, kinds=kinds, platforms=platforms)))


def cycle_facts(pipeline: Pipeline, manifest: Manifest) -> CycleFacts:
    """The cycle as core keeps it; `as_of` is its last good discovery answer, or its last answer where nothing was discovered.

    A platform that is down gives failures until long after the others were discovered: these say nothing of what is listed.
    """
    received = pipeline.landing.read(manifest, columns=["kind", "received_at", "failure"])
    discovery = received.filter(pl.col("kind").is_in([str(k) for k in DISCOVERY]), pl.col("failure").is_null())
    last = (discovery if manifest.scope is Scope.FULL and discovery.height else received)["received_at"].max()
    return CycleFacts(
        cycle_id=manifest.cycle_id,
        partition_hour=manifest.partition_hour,
        trigger=manifest.trigger,
        scope=manifest.scope,
        home_platform=manifest.home_platform,
        as_of=last if isinstance(last, datetime) else manifest.started_at,
    )


def discoveries(pipeline: Pipeline, manifest: Manifest, platforms: Sequence[Platform]) -> dict[Platform, tuple[Discovery, datetime]]:
    """Per platform, what a full cycle discovered and when its last good discovery answer was observed; empty for a cycle that does not discover."""
    if manifest.scope is not Scope.FULL:
        return {}
    answers = answers_of(pipeline, manifest, DISCOVERY, platforms)
    found = {}
    for platform in platforms:
        mine = [a for a in answers if a.request.platform == platform]
        at = max((a.observed_at for a in mine if a.ok), default=manifest.started_at)
        found[platform] = (pipeline.adapters[platform].read_discovery(mine, pipeline.settings.sport), at)
    return found


def listings_of_details(pipeline: Pipeline, manifest: Manifest, platforms: Sequence[Platform]) -> list[Seen]:
    """What each detail answer says of its own listing. Those that cannot be read, or show a match in play, are left to the rejects of the odds."""
    seen = []
    for answer in _details(pipeline, manifest, platforms):
        try:
            listing = pipeline.adapters[answer.request.platform].read_listing(answer)
        except PayloadRejected:
            continue
        if not listing.in_play:
            seen.append(Seen(listing, answer.observed_at, PayloadKind.DETAIL))
    return seen


def books(
    pipeline: Pipeline, manifest: Manifest, platform: Platform, refused: list[tuple[PayloadKind, Reject, bool]], without_price: list[Reject]
) -> Iterator[tuple[Answer, Detail]]:
    """Every detail answer of a platform with its whole book, read as it is asked for; adds what was refused to `refused` (as `storage.rejects`
    takes it), and answers whose book has outcomes and no price to `without_price`."""
    for answer in _details(pipeline, manifest, [platform]):
        try:
            detail = pipeline.adapters[platform].read_detail(answer)
        except PayloadRejected as rejected:
            refused.append((PayloadKind.DETAIL, Reject(platform, answer.request.external_id, rejected.path, rejected.reason), True))
            continue
        if detail.listing.in_play:
            refused.append((PayloadKind.DETAIL, Reject(platform, detail.listing.external_id, "$", OUT_OF_SCOPE), True))
            continue
        kickoffs = refused_kickoffs([Seen(detail.listing, answer.observed_at, PayloadKind.DETAIL)])
        refused += [(PayloadKind.DETAIL, entry, False) for entry in (*detail.rejects, *kickoffs)]
        if len(detail.prices) and not any(detail.prices.odds_milli):
            without_price.append(Reject(platform, detail.listing.external_id, "$", NO_PRICE))
        yield answer, detail


def seen_in_discovery(found: dict[Platform, tuple[Discovery, datetime]]) -> list[Seen]:
    """Listings that discovery showed; those in play are out of scope."""
    return [Seen(x, at, PayloadKind.LISTING) for discovery, at in found.values() for x in discovery.listings if not x.in_play]


def refused_kickoffs(seen: Iterable[Seen]) -> list[Reject]:
    """Return a reject for each kickoff that is not credible. Their listings are kept, so that they do not count as absent."""
    return [
        Reject(s.listing.platform, s.listing.external_id, "$", NOT_CREDIBLE.format(s.listing.kickoff_at.isoformat()))
        for s in seen
        if not s.listing.has_credible_kickoff(s.observed_at)
    ]


def listings_frame(seen: Iterable[Seen]) -> pl.DataFrame:
    """Rows of `storage.listings.LISTING_SCHEMA`. A kickoff that is not credible is null."""
    rows = [
        (
            x.platform,
            x.external_id,
            x.sport,
            x.kind,
            x.tournament_external_id,
            x.tournament_name,
            x.country_raw,
            x.sr_tournament_id,
            x.home_team,
            x.away_team,
            x.kickoff_at if x.has_credible_kickoff(s.observed_at) else None,
            x.sr_id,
            x.genius_id,
            x.n_markets_declared,
            s.observed_at,
            s.kind,
        )
        for s in seen
        for x in (s.listing,)
    ]
    return pl.DataFrame(rows, schema=LISTING_SCHEMA, orient="row")


def manifest_frame(found: dict[Platform, tuple[Discovery, datetime]]) -> pl.DataFrame:
    """Rows of `storage.listings.MANIFEST_SCHEMA`: one per tournament, and one for each platform's tree as a whole."""
    rows: list[tuple[str, str, int | None, int, str, str]] = []
    for platform, (discovery, _) in found.items():
        tournaments = discovery.tournaments
        rows.append((platform, WHOLE_TREE, None, sum(t.received for t in tournaments), discovery.completeness, discovery.reason))
        rows += [(platform, t.external_id, t.declared, t.received, t.completeness, t.missing) for t in tournaments]
    return pl.DataFrame(rows, schema=MANIFEST_SCHEMA, orient="row")


def tournaments_frame(found: dict[Platform, tuple[Discovery, datetime]], seen: Iterable[Seen]) -> pl.DataFrame:
    """Rows of `storage.listings.TOURNAMENT_SCHEMA`, from the trees and from the listings' own claims."""
    rows = [
        (t.platform, t.external_id, t.sport, t.name, t.country_raw, _iso(t.country_raw), t.sr_tournament_id, at)
        for discovery, at in found.values()
        for t in discovery.tournaments
    ]
    rows += [
        (x.platform, x.tournament_external_id, x.sport, x.tournament_name, x.country_raw, _iso(x.country_raw), x.sr_tournament_id, s.observed_at)
        for s in seen
        for x in (s.listing,)
    ]
    return pl.DataFrame(rows, schema=TOURNAMENT_SCHEMA, orient="row").unique()


def _details(pipeline: Pipeline, manifest: Manifest, platforms: Sequence[Platform]) -> Iterator[Answer]:
    """Landed detail answers, the bodies of one segment in memory at a time. A failed attempt says nothing about a listing, and is left out."""
    for segment in pipeline.landing.read_segments(manifest, [PayloadKind.DETAIL], platforms):
        yield from (answer for answer in pipeline.landing.answers(segment) if answer.ok)


def _iso(country_raw: str | None) -> str | None:
    return country_iso(country_raw) if country_raw else None
