"""Choose the targets of a capture: one per fixture, most urgent first. No I/O."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from palimpsest_pipeline.domain.cycles import Target
from palimpsest_pipeline.domain.enums import ListingKind, Platform
from palimpsest_pipeline.domain.observations import MIN_RELISTING_GAP, Listing
from palimpsest_pipeline.domain.platform_trust import put_home_first

URGENCY_TIERS: Final = (timedelta(minutes=30), timedelta(minutes=120))
"""Limits of the time to kickoff that divide fixtures into groups.

Fixtures that kick off within the first limit come first, then those within the second, then the rest.
"""


def build_targets(
    listings: Iterable[Listing], platforms: Sequence[Platform], home: Platform, now: datetime
) -> list[Target]:
    """Return the fixtures that have not kicked off yet, in the order in which to request them.

    Only matches count, and none that is in play. The listings of a fixture have the same SportRadar id. A listing
    without one joins a fixture through its Genius id, or is a target of its own.

    The kickoff is the claim of the most trusted platform (home, then in the order of `platforms`); of several listings
    there, the one with most markets. A kickoff that is not credible is ignored, and a fixture without any credible
    kickoff is not a target. A kickoff more than `MIN_RELISTING_GAP` before the latest one of its platform is ignored
    too: the match was listed again, and the old listing is not requested once its kickoff has passed.

    The result does not depend on the order of `listings` or on duplicates.
    """
    matches = [
        listing
        for listing in _deduplicate_listings(listings)
        if listing.kind is ListingKind.MATCH and not listing.is_in_play
    ]
    fixture_of_genius = _map_genius_ids(matches)
    groups: dict[tuple[int | None, str], list[Listing]] = defaultdict(list)
    for listing in matches:
        sr_id = listing.sr_id if listing.sr_id is not None else fixture_of_genius.get(listing.genius_id)
        groups[sr_id, "" if sr_id is not None else f"{listing.platform} {listing.external_id}"].append(listing)
    trust = put_home_first(home, platforms)
    targets = (_build_target(sr_id, group, trust, now) for (sr_id, _), group in groups.items())
    return order_targets((target for target in targets if target is not None), home, now)


def order_targets(targets: Iterable[Target], home: Platform, now: datetime) -> list[Target]:
    """Return the targets that have not kicked off at `now`, in the order of `rank_target`."""
    return sorted(
        (target for target in targets if target.kickoff_at > now), key=lambda target: rank_target(target, home, now)
    )


def rank_target(target: Target, home: Platform, now: datetime) -> tuple[Any, ...]:
    """Return a target's rank at `now`; a smaller rank is requested first.

    The criteria are, in order: urgency, the time since all its platforms answered, kickoff, more platforms, home first.
    So if a slow platform cannot answer all targets in time, each cycle leaves out other fixtures.
    """
    tier = sum(target.kickoff_at - now >= tier for tier in URGENCY_TIERS)
    # The last two criteria only make the order of otherwise equal targets deterministic.
    tie_breakers = (target.sr_id or 0, sorted((p, ids) for p, ids in target.listings.items()))
    return (
        tier,
        target.answered_cycle_id,
        target.kickoff_at,
        -len(target.listings),
        home not in target.listings,
        *tie_breakers,
    )


def _deduplicate_listings(listings: Iterable[Listing]) -> list[Listing]:
    """Return each listing once. If it has different claims, the choice does not depend on their order."""
    listings_by_key: dict[tuple[Platform, str], Listing] = {}
    for listing in listings:
        key = (listing.platform, listing.external_id)
        current = listings_by_key.get(key)
        if current is None or (current != listing and _rank_claim(listing) < _rank_claim(current)):
            listings_by_key[key] = listing
    return list(listings_by_key.values())


def _rank_claim(listing: Listing) -> tuple[bool, bool, str]:
    # A claim in play is preferred: the match has started, although an older page may still show it as upcoming.
    return not listing.is_in_play, listing.sr_id is None, repr(listing)


def _map_genius_ids(matches: Iterable[Listing]) -> dict[int | None, int]:
    """Map Genius ids to SportRadar ids, where all listings that have both agree."""
    claims: dict[int | None, set[int]] = defaultdict(set)
    for listing in matches:
        if listing.genius_id is not None and listing.sr_id is not None:
            claims[listing.genius_id].add(listing.sr_id)
    return {genius_id: min(sr_ids) for genius_id, sr_ids in claims.items() if len(sr_ids) == 1}


def _build_target(
    sr_id: int | None, group: Sequence[Listing], trust: Sequence[Platform], now: datetime
) -> Target | None:
    claims = [listing for listing in group if listing.has_credible_kickoff(now)]
    if not claims:
        return None
    latest: dict[Platform, datetime] = {}
    for listing in claims:
        latest[listing.platform] = max(listing.kickoff_at, latest.get(listing.platform, listing.kickoff_at))
    outdated = [listing for listing in claims if listing.kickoff_at < latest[listing.platform] - MIN_RELISTING_GAP]
    claims = [listing for listing in claims if listing not in outdated]
    by_platform: dict[Platform, list[Listing]] = defaultdict(list)
    for listing in group:
        if listing not in outdated or listing.kickoff_at > now:
            by_platform[listing.platform].append(listing)
    ids = {
        platform: tuple(sorted((x.external_id for x in by_platform[platform]), key=_make_id_sort_key))
        for platform in trust
        if platform in by_platform
    }
    trusted_claim = min(
        claims, key=lambda x: (trust.index(x.platform), -(x.n_markets_declared or 0), _make_id_sort_key(x.external_id))
    )
    return Target(sr_id, trusted_claim.kickoff_at, ids)


def _make_id_sort_key(external_id: str) -> tuple[bool, int, str]:
    """Return a sort key for platform ids: numbers by value, before all other texts."""
    number = external_id.isascii() and external_id.isdigit()
    return not number, int(external_id) if number else 0, external_id
