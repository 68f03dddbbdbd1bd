"""From listings to targets: one per fixture, most urgent first. Pure; asks nobody and remembers nothing."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from palimpsest_pipeline.domain.cycles import Target
from palimpsest_pipeline.domain.enums import ListingKind, Platform
from palimpsest_pipeline.domain.observations import MIN_RELISTING_GAP, Listing

URGENCY_TIERS: Final = (timedelta(minutes=30), timedelta(minutes=120))
"""Fixtures kicking off sooner than the first come first, then those sooner than the second, then the rest."""


def build_targets(listings: Iterable[Listing], home: Platform, now: datetime) -> list[Target]:
    """Fixtures that have not kicked off yet, in the order in which to ask.

    Only matches, never those in play. A fixture is what shares a SportRadar id; a listing without one belongs to the
    fixture that its Genius id leads to, or stands alone. Kickoff is the claim of the most trusted platform (home, then
    Platform's order), of several listings there the one with most markets. A kickoff that is not credible is no claim,
    and a fixture without any other is no target. Neither is one that lies more
    than RELISTED before the latest of its platform: the match was listed anew, and the old listing is not asked any
    more once its kickoff has passed. The order of `listings` and repetitions among them change nothing.
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
    found = (_build_target(sr_id, group, home, now) for (sr_id, _), group in groups.items())
    return order_targets((target for target in found if target is not None), home, now)


def order_targets(targets: Iterable[Target], home: Platform, now: datetime) -> list[Target]:
    """Those that have not kicked off at `now`, in the order of `rank_target`."""
    return sorted(
        (target for target in targets if target.kickoff_at > now), key=lambda target: rank_target(target, home, now)
    )


def rank_target(target: Target, home: Platform, now: datetime) -> tuple[Any, ...]:
    """Where a target stands at `now`, smaller first: by urgency, how long some platform has not answered, kickoff, more
    platforms, home first.

    Where a slow platform is never done with all in time, it is thus other fixtures each time that it leaves out.
    """
    tier = sum(target.kickoff_at - now >= tier for tier in URGENCY_TIERS)
    # The last two only make the order of equals the same every time.
    last = (target.sr_id or 0, sorted((p, ids) for p, ids in target.listings.items()))
    return tier, target.answered_cycle_id, target.kickoff_at, -len(target.listings), home not in target.listings, *last


def _deduplicate_listings(listings: Iterable[Listing]) -> list[Listing]:
    """Each listing once. Of different claims about one listing the choice does not depend on their order."""
    chosen: dict[tuple[Platform, str], Listing] = {}
    for listing in listings:
        key = (listing.platform, listing.external_id)
        known = chosen.get(key)
        if known is None or (known != listing and _rank_claim(listing) < _rank_claim(known)):
            chosen[key] = listing
    return list(chosen.values())


def _rank_claim(listing: Listing) -> tuple[bool, bool, str]:
    # In play outweighs not yet in play: the match has begun, whatever an older page says.
    return not listing.is_in_play, listing.sr_id is None, repr(listing)


def _map_genius_ids(matches: Iterable[Listing]) -> dict[int | None, int]:
    """SportRadar id by Genius id, where the listings that carry both agree on one."""
    claims: dict[int | None, set[int]] = defaultdict(set)
    for listing in matches:
        if listing.genius_id is not None and listing.sr_id is not None:
            claims[listing.genius_id].add(listing.sr_id)
    return {genius_id: min(sr_ids) for genius_id, sr_ids in claims.items() if len(sr_ids) == 1}


def _build_target(sr_id: int | None, group: Sequence[Listing], home: Platform, now: datetime) -> Target | None:
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
    trust = [home, *(p for p in Platform if p is not home)]
    ids = {
        p: tuple(sorted((x.external_id for x in by_platform[p]), key=_make_id_sort_key))
        for p in trust
        if p in by_platform
    }
    leading = min(
        claims, key=lambda x: (trust.index(x.platform), -(x.n_markets_declared or 0), _make_id_sort_key(x.external_id))
    )
    return Target(sr_id, leading.kickoff_at, ids)


def _make_id_sort_key(external_id: str) -> tuple[bool, int, str]:
    """Ids of digits by their number, before the others by their text."""
    number = external_id.isascii() and external_id.isdigit()
    return not number, int(external_id) if number else 0, external_id
