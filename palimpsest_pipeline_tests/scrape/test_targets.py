"""Which fixtures are asked for, and in which order."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from palimpsest_pipeline import scrape
from palimpsest_pipeline.domain.cycles import Target
from palimpsest_pipeline.domain.enums import ListingKind, Platform
from palimpsest_pipeline.domain.observations import Listing
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET

from .world import NOW, listing

P, S, B = BETPAWA, SPORTYBET, BET9JA


def in_minutes(minutes: float) -> dict[str, object]:
    return {"kickoff_at": NOW + timedelta(minutes=minutes)}


def build_targets(listings: Iterable[Listing], home: Platform, now: datetime) -> list[Target]:
    return scrape.build_targets(listings, PLATFORMS, home, now)


def ids(listings: list[Listing], home: Platform = P) -> list[str]:
    """The first listing id of each target, in order."""
    return [next(iter(target.listings.values()))[0] for target in build_targets(listings, home, NOW)]


def test_a_fixture_is_one_target_with_every_platforms_own_ids() -> None:
    found = build_targets(
        [listing(P, "10", 7), listing(S, "sr:match:7", 7), listing(B, "2", 7), listing(B, "11", 7), listing(P, "3", 8)],
        P,
        NOW,
    )
    assert {t.sr_id: dict(t.listings) for t in found} == {
        7: {P: ("10",), S: ("sr:match:7",), B: ("2", "11")},
        8: {P: ("3",)},
    }


def test_a_listing_without_sportradar_id_is_a_target_of_its_own() -> None:
    found = build_targets([listing(P, "1"), listing(P, "2"), listing(S, "1")], P, NOW)
    assert [(t.sr_id, dict(t.listings)) for t in found] == [
        (None, {P: ("1",)}),
        (None, {P: ("2",)}),
        (None, {S: ("1",)}),
    ]


def test_a_listing_known_by_its_genius_id_only_is_asked_together_with_its_fixture() -> None:
    found = build_targets(
        [listing(P, "1", 7, genius_id=40), listing(S, "sr:match:111111140", genius_id=40), listing(B, "2", 7)], S, NOW
    )
    assert [(t.sr_id, dict(t.listings)) for t in found] == [(7, {P: ("1",), S: ("sr:match:111111140",), B: ("2",)})]


def test_a_genius_id_that_two_fixtures_claim_leads_nowhere() -> None:
    found = build_targets(
        [listing(P, "1", 7, genius_id=40), listing(P, "2", 8, genius_id=40), listing(S, "s", genius_id=40)], P, NOW
    )
    assert {t.sr_id: dict(t.listings) for t in found} == {7: {P: ("1",)}, 8: {P: ("2",)}, None: {S: ("s",)}}


def test_simulated_antepost_and_running_matches_are_never_targets() -> None:
    left_out = [
        listing(P, "1", 1, kind=ListingKind.SIMULATED),
        listing(P, "2", 2, kind=ListingKind.ANTEPOST),
        listing(P, "3", 3, is_in_play=True),
        listing(P, "4", 4, **in_minutes(0)),
        listing(P, "5", 5, **in_minutes(-5)),
    ]
    assert build_targets([*left_out, listing(P, "6", 6)], P, NOW) == build_targets([listing(P, "6", 6)], P, NOW)


def test_a_match_seen_in_play_on_one_page_is_in_play_whatever_another_page_says() -> None:
    before, running = listing(P, "1", 1), listing(P, "1", 1, is_in_play=True)
    assert build_targets([before, running], P, NOW) == build_targets([running, before], P, NOW) == []


def test_the_home_platform_is_believed_about_the_kickoff_then_the_listing_with_most_markets() -> None:
    postponed, early = in_minutes(600), in_minutes(-10)
    (target,) = build_targets([listing(S, "1", 7, **early), listing(P, "1", 7, **postponed)], P, NOW)
    assert target.kickoff_at == postponed["kickoff_at"]
    assert build_targets([listing(S, "1", 7, **early), listing(P, "1", 7, **postponed)], S, NOW) == []
    for absurd in (NOW - timedelta(days=20_000), NOW + timedelta(days=20_000)):
        placeholder = listing(P, "1", 7, kickoff_at=absurd, n_markets_declared=90)
        (target,) = build_targets([placeholder, listing(S, "1", 7, **postponed)], P, NOW)
        assert (target.kickoff_at, dict(target.listings)) == (postponed["kickoff_at"], {P: ("1",), S: ("1",)}), (
            "an absurd kickoff is no claim"
        )
        assert build_targets([placeholder], P, NOW) == []
    small, big = (
        listing(P, "1", 7, n_markets_declared=3, **early),
        listing(P, "2", 7, n_markets_declared=90, **postponed),
    )
    assert build_targets([small, big], P, NOW)[0].kickoff_at == postponed["kickoff_at"]


def test_a_match_listed_anew_kicks_off_as_its_platform_lists_it_last() -> None:
    old = listing(P, "1", 7, n_markets_declared=40, **in_minutes(-180))
    new = listing(P, "2", 7, n_markets_declared=10, **in_minutes(3 * 1440))
    other = listing(S, "3", 7, **in_minutes(3 * 1440))
    (target,) = build_targets([old, new, other], P, NOW)
    assert (target.kickoff_at, dict(target.listings)) == (new.kickoff_at, {P: ("2",), S: ("3",)})
    (target,) = build_targets([other, new, old], S, NOW)
    assert dict(target.listings) == {P: ("2",), S: ("3",)}
    ahead = replace(old, **in_minutes(20))
    (target,) = build_targets([ahead, new], P, NOW)
    assert (target.kickoff_at, dict(target.listings)) == (new.kickoff_at, {P: ("1", "2")}), (
        "what can still be bet on is asked too"
    )
    copy = replace(old, **in_minutes(3 * 1440 - 360))
    assert build_targets([copy, new], P, NOW)[0].kickoff_at == copy.kickoff_at, (
        "kickoffs so near are copies: the larger book speaks"
    )
    absurd = replace(new, kickoff_at=NOW + timedelta(days=20_000))
    assert build_targets([ahead, absurd], P, NOW)[0].kickoff_at == ahead.kickoff_at


def test_urgent_fixtures_come_first_then_by_kickoff_then_more_platforms_then_home() -> None:
    listings = [
        listing(S, "late-s", 1, **in_minutes(300)),
        listing(P, "late-p", 2, **in_minutes(300)),
        listing(S, "late-two", 3, **in_minutes(300)),
        listing(B, "late-two-b", 3, **in_minutes(300)),
        listing(S, "soon-119", 4, **in_minutes(119)),
        listing(S, "soon-31", 5, **in_minutes(31)),
        listing(S, "now-29", 6, **in_minutes(29)),
        listing(S, "at-120", 7, **in_minutes(120)),
    ]
    assert ids(listings) == ["now-29", "soon-31", "soon-119", "at-120", "late-two", "late-p", "late-s"]


many = st.lists(
    st.builds(
        lambda platform, n, sr_id, genius_id, minutes, markets, in_play: listing(
            platform,
            str(n),
            sr_id,
            genius_id=genius_id,
            n_markets_declared=markets,
            is_in_play=in_play,
            **in_minutes(minutes),
        ),
        st.sampled_from(PLATFORMS),
        st.integers(1, 6),
        st.none() | st.integers(1, 4),
        st.none() | st.integers(1, 3),
        st.sampled_from([-1, 10, 29, 30, 31, 119, 120, 121, 500]),
        st.none() | st.integers(0, 3),
        st.booleans(),
    ),
    max_size=12,
)


@settings(deadline=None)  # a busy machine is no failure
@given(many, st.sampled_from(PLATFORMS), st.randoms(use_true_random=False))
def test_order_and_repetition_of_the_listings_change_nothing(
    listings: list[Listing], home: Platform, chance: object
) -> None:
    shuffled = [*listings, *listings[:3]]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert build_targets(shuffled, home, NOW) == build_targets(listings, home, NOW)


@settings(deadline=None)  # a busy machine is no failure
@given(many, st.sampled_from(PLATFORMS))
def test_each_listing_is_asked_for_at_most_once_and_only_before_kickoff(
    listings: list[Listing], home: Platform
) -> None:
    found = build_targets(listings, home, NOW)
    asked = [
        (platform, external_id)
        for target in found
        for platform, external_ids in target.listings.items()
        for external_id in external_ids
    ]
    assert len(asked) == len(set(asked))
    assert all(target.kickoff_at > NOW for target in found)
    tiers = [
        (t.kickoff_at - NOW >= timedelta(minutes=30)) + (t.kickoff_at - NOW >= timedelta(minutes=120)) for t in found
    ]
    assert tiers == sorted(tiers)
    assert [t.kickoff_at for t in found] == sorted(t.kickoff_at for t in found)
