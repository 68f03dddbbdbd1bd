"""The world: shares, counts and determinism, asked of the world itself and of a running simulator."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.simulator_process import SimulatorProcess
from palimpsest_pipeline.simulator.timeline import Timeline
from palimpsest_pipeline.simulator.truth import collect_truth
from palimpsest_pipeline.simulator.world import FIXTURES_BY_PLATFORM_SET, apportion_fixtures, build_world
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET

from .reading import bet9ja_groups, bet9ja_list, betpawa_list, detail_path, get, send_request, sportybet_list

EPOCH = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
Start = Callable[..., SimulatorProcess]


@pytest.mark.parametrize("size", [1, 7, 40, 120, 1500, 2969])
def test_shares_of_the_union_are_the_measured_ones_rounded_by_largest_remainder(size: int) -> None:
    counts = apportion_fixtures(size)
    assert sum(counts) == size
    assert all(
        abs(count - size * share / 2969) < 1 for count, (_, share) in zip(counts, FIXTURES_BY_PLATFORM_SET, strict=True)
    )


def test_each_set_of_platforms_lists_exactly_its_share_of_the_fixtures() -> None:
    world = build_world(7, 1500, EPOCH)
    for (platforms, _), count in zip(FIXTURES_BY_PLATFORM_SET, apportion_fixtures(1500), strict=True):
        assert sum(fixture.platforms == platforms for fixture in world.fixtures if fixture.sr_id) == count
    assert apportion_fixtures(2969) == [count for _, count in FIXTURES_BY_PLATFORM_SET]


def test_bet9ja_has_one_and_a_half_listings_per_fixture_and_every_platform_two_hundred_tournaments() -> None:
    world = build_world(7, 1500, EPOCH)
    bet9ja = [listing for listing in world.listings[BET9JA] if listing.fixture.sr_id]
    assert len(bet9ja) / len({listing.fixture.number for listing in bet9ja}) == pytest.approx(1.53, abs=0.001)
    for platform in PLATFORMS:
        assert len({listing.group_id for listing in world.listings[platform]}) > 200
    assert sum(tournament.names[BETPAWA] == "Premier League" for tournament in world.tournaments) > 10


def test_a_duplicate_shares_the_kickoff_and_offers_fewer_markets() -> None:
    world = build_world(7, 300, EPOCH)
    originals = {one.fixture.number: one for one in world.listings[BET9JA] if not one.is_duplicate}
    duplicates = [one for one in world.listings[BET9JA] if one.is_duplicate]
    assert duplicates
    for one in duplicates:
        assert one.group_id != originals[one.fixture.number].group_id
        assert one.n_pairs < originals[one.fixture.number].n_pairs


def test_ids_are_unique_on_each_platform() -> None:
    world = build_world(7, 1500, EPOCH)
    assert len({fixture.sr_id for fixture in world.fixtures if fixture.sr_id}) == 1500
    for platform in PLATFORMS:
        ids = [listing.external_id for listing in world.listings[platform]]
        assert len(ids) == len(set(ids))


def test_kickoffs_come_after_the_epoch_with_a_tenth_of_them_within_two_hours() -> None:
    kickoffs = [fixture.kickoff_at for fixture in build_world(7, 1500, EPOCH).fixtures]
    assert min(kickoffs) >= EPOCH + timedelta(minutes=5)
    assert max(kickoffs) <= EPOCH + timedelta(days=7)
    assert 0.06 < sum(kickoff <= EPOCH + timedelta(hours=2) for kickoff in kickoffs) / len(kickoffs) < 0.14


def test_any_instant_can_be_asked_in_any_order() -> None:
    instants = [EPOCH + timedelta(minutes=minutes) for minutes in (0, 10, 45, 300)]
    forward, backward = Timeline(build_world(3, 60, EPOCH)), Timeline(build_world(3, 60, EPOCH))
    assert [collect_truth(forward, at) for at in instants] == [
        collect_truth(backward, at) for at in reversed(instants)
    ][::-1]


def test_within_ten_minutes_a_handful_of_listings_move_and_most_do_not() -> None:
    timeline = Timeline(build_world(7, 120, EPOCH))
    before, after = (
        {one["sr_id"]: one for one in collect_truth(timeline, at)["fixtures"]}
        for at in (EPOCH, EPOCH + timedelta(minutes=10))
    )
    changed = [sr_id for sr_id in before if before[sr_id]["platforms"] != after.get(sr_id, {}).get("platforms")]
    moved = [sr_id for sr_id in after if after[sr_id]["kickoff_at"] != before[sr_id]["kickoff_at"]]
    assert 1 <= len(changed) <= 12
    assert 1 <= len(moved) <= 12


def test_truth_at_the_epoch_has_the_exact_shares() -> None:
    counts = collect_truth(Timeline(build_world(7, 2969, EPOCH)), EPOCH)["counts"]
    assert counts == {
        "union": 2969,
        "matched": 1535 + 133 + 20,
        "home_only": 530,
        "competitor_only": 300 + 292 + 159,
        "on_betpawa": 2218,
        "on_sportybet": 2260,
        "on_bet9ja": 2014,
    }


def test_equal_seeds_give_equal_bytes_in_another_process(start_simulator: Start) -> None:
    epoch = (datetime.now(UTC) + timedelta(days=3)).replace(second=0, microsecond=0)
    ahead = (epoch - datetime.now(UTC)).total_seconds() + 200
    one, other, third = (start_simulator(30, seed, epoch=epoch, clock_offset_s=ahead) for seed in (5, 5, 6))
    first = one.fetch_truth()["fixtures"][0]
    for platform, ids in first["platforms"].items():
        path = detail_path(Platform(platform), ids[0])
        assert send_request(one, Platform(platform), path)[2] == send_request(other, Platform(platform), path)[2]
    assert first["sr_id"] not in {fixture["sr_id"] for fixture in third.fetch_truth()["fixtures"]}


@pytest.mark.parametrize("version", ["v3", "v4"])
def test_lists_hold_what_the_trees_declare_and_what_the_truth_says(start_simulator: Start, version: str) -> None:
    simulator = start_simulator(60, betpawa_version=version)
    told = simulator.fetch_truth()
    expected = {
        platform: {i for fixture in told["fixtures"] for i in fixture["platforms"].get(platform, ())}
        for platform in PLATFORMS
    }
    for one in told["unidentified"]:
        expected[Platform(one["platform"])].add(one["external_id"])

    paws = betpawa_list(simulator, version)
    tree = get(simulator, BETPAWA, f"/api/sportsbook/{version}/categories/list/2")["withRegions"][0]
    assert {event["id"] for event in paws} == expected[BETPAWA]
    assert len(paws) == int(tree["eventCounts"]["upcoming"])
    declared = {
        one["competition"]["id"]: int(one["eventCounts"]["upcoming"])
        for region in tree["regions"]
        for one in region["competitions"]
    }
    assert declared == {number: sum(event["competition"]["id"] == number for event in paws) for number in declared}
    assert declared == {number: node["declared"] for number, node in told["tournaments"]["betpawa"].items()}

    total, events = sportybet_list(simulator)
    sports = get(simulator, SPORTYBET, "/api/ng/factsCenter/popularAndSportList?sportId=sr:sport:1&productId=3")[
        "data"
    ]["sportList"]
    assert total == len(events) == sports[0]["eventSize"]
    matches = {event["eventId"] for event in events if event["sport"]["category"]["id"] != "sr:category:2123"}
    assert matches == expected[SPORTYBET]
    assert total - len(matches) == told["excluded"]["sportybet"] > 0

    groups = bet9ja_groups(simulator)
    entries = {group: bet9ja_list(simulator, group) for group in groups}
    assert groups == {group: len(found) for group, found in entries.items()}
    everything = [entry for found in entries.values() for entry in found]
    assert {str(entry["ID"]) for entry in everything if " - " in entry["DS"]} == expected[BET9JA]
    assert sum(" - " not in entry["DS"] for entry in everything) == told["excluded"]["bet9ja"] > 0


def test_matches_without_sportradar_id_are_listed_on_every_platform(start_simulator: Start) -> None:
    simulator = start_simulator(120)
    unidentified = {
        platform: [one["external_id"] for one in simulator.fetch_truth()["unidentified"] if one["platform"] == platform]
        for platform in PLATFORMS
    }
    assert all(unidentified.values())
    paws = {event["id"]: event for event in betpawa_list(simulator)}
    for external_id in unidentified[BETPAWA]:
        assert all(widget["type"] != "SPORTRADAR" for widget in paws[external_id].get("widgets", []))
    genius = [event for event in sportybet_list(simulator)[1] if event["eventId"].startswith("sr:match:1111111")]
    carried = {
        widget["id"]
        for event in paws.values()
        for widget in event.get("widgets", [])
        if widget["type"] == "GENIUSSPORTS"
    }
    assert {event["eventId"].removeprefix("sr:match:1111111") for event in genius} & carried


@pytest.mark.slow
def test_fifteen_hundred_fixtures_are_served_whole(start_simulator: Start) -> None:
    simulator = start_simulator(1500)
    counts = simulator.fetch_truth()["counts"]
    assert counts["union"] >= 1490
    assert len(betpawa_list(simulator)) >= counts["on_betpawa"]
    total, events = sportybet_list(simulator)
    assert total == len({event["eventId"] for event in events})
    assert sum(bet9ja_groups(simulator).values()) > 1.5 * counts["on_bet9ja"] - 20
    assert json.dumps(simulator.fetch_log()["requests"])
