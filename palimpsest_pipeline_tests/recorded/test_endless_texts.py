"""Every text of every kind of answer, one at a time, as 10 kB of something: the cycle is derived to its marts, and
what is not odd is as it was.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from palimpsest_pipeline.domain.cycles import Cycle
from palimpsest_pipeline.domain.enums import PayloadKind, Platform, RunStatus, Scope, Trigger
from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.domain.instants import floor_to_hour, make_cycle_id
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.record_landed_cycles import rescan_landing
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline_tests.fixtures.pipeline import pipelines, run_here
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET
from palimpsest_pipeline_tests.platforms.support import answer_to, loaded, reply

pytestmark = pytest.mark.slow

BEGIN: Final = datetime(2026, 6, 26, 10, tzinfo=UTC)
ANSWERS: Final = {
    (BETPAWA, PayloadKind.TREE): "categories_football_v3_2025-09-27.json",
    (BETPAWA, PayloadKind.LISTING): "list_v4_excerpt_2_of_65_events_2026-09-08.json",
    (BETPAWA, PayloadKind.DETAIL): "detail_football_59_markets_v4_2026-08-21.json",
    (SPORTYBET, PayloadKind.TREE): "tournament_tree_example.json",
    (SPORTYBET, PayloadKind.LISTING): "list_genius_and_srl_example.json",
    (SPORTYBET, PayloadKind.DETAIL): "event_prematch_football_360_markets.json",
    (BET9JA, PayloadKind.TREE): "getsports_example.json",
    (BET9JA, PayloadKind.LISTING): "geteventsingroupv2_full_envelope_example.json",
    (BET9JA, PayloadKind.DETAIL): "getevent_soccer_norway_france.json",
}
SCORERS: Final = 12
"""Of many markets alike, some; players' are among them, whose outcomes are keys of the database."""
WIDE: Final = "".join(map(chr, Random(1).choices(range(0x1F300, 0x1F900), k=2_500)))
DIGITS: Final = "".join(Random(2).choices("123456789", k=10_000))
HEX: Final = Random(3).randbytes(5_000).hex()
"""None of them can be compressed below what an index takes."""

Place = tuple[str | int, ...]
Key = tuple[Platform, PayloadKind]
Bodies = dict[Key, Any]


def endless(text: str, number: int) -> str:
    """10 kB in place of a text: digits for digits, else characters of one byte and of four by turns, the text's own
    beginning kept.
    """
    return DIGITS if text.isdigit() else text[: text.find("_", 2) + 1] + (HEX, WIDE)[number % 2]


def texts(value: Any, shape: tuple[str, ...] = (), place: Place = ()) -> Iterator[tuple[tuple[str, ...], Place]]:
    """Every text inside, and every key that is an id: its shape, which is its place without numbers and ids, and its
    place.
    """
    if isinstance(value, str):
        yield shape, place
    for key, inside in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        is_id = isinstance(key, int) or key.isdigit() or "_" in key
        if isinstance(key, str) and is_id and key not in ("SG_DESC", "G_DESC", "S_DESC"):
            yield (*shape, "key"), (*place, key, "key")
        yield from texts(inside, (*shape, "*" if is_id else str(key)), (*place, key))


def with_endless(body: Any, place: Place, number: int) -> Any:
    """A copy of the body with 10 kB at one place."""
    body = json.loads(json.dumps(body))
    is_key = len(place) > 1 and place[-1] == "key" and place[-2] != "key"
    *way, last = place[:-1] if is_key else place
    inside = body
    for key in way:
        inside = inside[key]
    if is_key:
        inside[endless(str(last), number)] = inside.pop(last)
    else:
        inside[last] = endless(inside[last], number)
    return body


def spoilt(body: Any) -> list[Any]:
    """The body once for every shape of text in it, with 10 kB in the first such place."""
    first: dict[tuple[str, ...], Place] = {}
    for shape, place in texts(body):
        first.setdefault(shape, place)
    return [with_endless(body, place, number) for number, place in enumerate(first.values())]


def listing_id(platform: Platform, body: Any) -> str:
    for key in {BETPAWA: ("id",), SPORTYBET: ("data", "eventId"), BET9JA: ("D", "ID")}[platform]:
        body = body[key]
    return str(body)


def scorers_of(samples: Path) -> Any:
    """An answer of SportyBet's with players among its outcomes, short."""
    body = loaded(samples, SPORTYBET, "event_prematch_football_norway_france_974_markets.json")
    markets = body["data"]["markets"]
    body["data"]["markets"] = [m for m in markets if any("player" in str(o["id"]) for o in m["outcomes"])][:SCORERS]
    assert body["data"]["markets"]
    return body


def endless_players(body: Any) -> list[Any]:
    """The body with 10 kB as a player's number, as his name, and as his team's."""
    found = []
    for field, before, after in (
        ("id", "sr:player:", ""),
        ("id", "sr:player:1", ""),
        ("desc", "", ""),
        ("desc", "Somebody (", ")"),
    ):
        for text in (DIGITS, WIDE):
            changed = json.loads(json.dumps(body))
            for market in changed["data"]["markets"]:
                market["outcomes"][-1][field] = before + text + after
            found.append(changed)
    return found


@dataclass(frozen=True)
class World:
    pipeline: Pipeline
    n_spoilt: dict[Key, int]
    cycles: list[int]
    whole: dict[Platform, str]
    """Listing of each platform's answer that is not spoilt."""


@pytest.fixture(scope="module")
def world(samples: Path, postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Full cycles of one hour: with one spoilt tree and some spoilt lists and details of each platform, and the same
    details as they are.
    """
    whole = {key: loaded(samples, key[0], name) for key, name in ANSWERS.items()}
    bodies = {key: spoilt(body) for key, body in whole.items()}
    bodies[SPORTYBET, PayloadKind.DETAIL] += endless_players(scorers_of(samples))
    n_cycles = max(len(found) for (_, kind), found in bodies.items() if kind is PayloadKind.TREE)
    with pipelines(postgres, tmp_path_factory.mktemp("endless")) as make:
        pipeline = make()
        cycles = []
        for n in range(n_cycles):
            begun = BEGIN + timedelta(minutes=n)
            cycle = Cycle(make_cycle_id(begun), Trigger.MANUAL, Scope.FULL, BETPAWA, floor_to_hour(begun), begun)
            writer = pipeline.landing.open_writer(cycle)
            for answer in answers_of(whole, bodies, n, n_cycles, begun):
                writer.append(answer)
            writer.close(RunStatus.COMPLETED, begun + timedelta(seconds=59), ("landing",))
            cycles.append(cycle.cycle_id)
        rescan_landing(pipeline)
        outcome = run_here(pipeline, "replay", BEGIN.date())
        assert outcome.success, outcome.error
        ids = {
            platform: listing_id(platform, body)
            for (platform, kind), body in whole.items()
            if kind is PayloadKind.DETAIL
        }
        yield World(pipeline, {key: len(found) for key, found in bodies.items()}, cycles, ids)


def answers_of(whole: Bodies, bodies: dict[Key, list[Any]], n: int, n_cycles: int, begun: datetime) -> Iterator[Answer]:
    """The answers of the n-th cycle: of each platform a spoilt tree, its share of the spoilt lists and details, and
    at last what is not spoilt.
    """
    at = begun
    for (platform, kind), spoilt_ones in bodies.items():
        mine = (
            [spoilt_ones[n % len(spoilt_ones)]]
            if kind is PayloadKind.TREE
            else [*islice(spoilt_ones, n, None, n_cycles), whole[platform, kind]]
        )
        for number, body in enumerate(mine):
            at += timedelta(milliseconds=100)
            path = f"/{kind}/{number if kind is PayloadKind.LISTING else 0}"
            # Where the id itself is spoilt, the question names none: else the answer is refused as another listing's.
            named = kind is PayloadKind.DETAIL and (found := listing_id(platform, body)) and len(found) < 100
            yield answer_to(
                Request(platform, kind, path, external_id=listing_id(platform, body) if named else None),
                reply(body),
                at=at,
            )


def query(world: World, sql: str) -> list[tuple[Any, ...]]:
    with world.pipeline.connect() as conn:
        return conn.execute(sql.encode()).fetchall()


def test_every_cycle_is_derived_to_its_marts(world: World) -> None:
    assert all(n > 5 for n in world.n_spoilt.values()), world.n_spoilt
    for table in ("core.cycle_products", "mart.cycle_products"):
        found = query(world, f"select product, count(*) from {table} group by product")
        assert len(found) > 2
        assert {n for _, n in found} == {len(world.cycles)}, table


def test_what_is_not_spoilt_is_as_it_was(world: World) -> None:
    last = """select distinct on (c.cycle_id, c.listing_id) c.listing_id, c.n_markets_priced, c.n_prices from core.captures c
        join ops.listing_ids i using (listing_id) where i.external_id = any(array[{}]) order by c.cycle_id, c.listing_id, c.observed_at desc"""
    ids = ", ".join(f"'{external_id}'" for external_id in world.whole.values())
    found = query(world, last.format(ids))
    assert len(found) == len(world.cycles) * len(PLATFORMS)
    assert len(set(found)) == len(PLATFORMS), "the last answer of every cycle says the same"
    assert all(n_prices > 100 for *_, n_prices in found)


def test_what_is_too_long_is_rejected_and_what_is_kept_as_a_key_is_short(world: World) -> None:
    reasons = query(
        world,
        "select distinct platform, regexp_replace(reason, ' of .*', '') from core.rejects where reason like '%at most 200 are read'",
    )
    assert set(reasons) >= {(platform, "an id") for platform in PLATFORMS} | {
        ("betpawa", "an outcome id"),
        ("sportybet", "an outcome id"),
    }
    keys = {
        "core.rejects": ("external_id", "path", "reason"),
        "ops.listing_ids": ("external_id",),
        "ops.market_lines": ("specifier", "outcome"),
        "core.discovery_manifest": ("external_id",),
        "core.tournament_listings": ("external_id",),
        "core.event_listings": ("external_id", "tournament_external_id"),
        "core.player_lists": ("external_player_id", "name", "team"),
        "core.unmapped_markets": ("external_market_id", "specifier_schema"),
    }
    for table, columns in keys.items():
        lengths = query(world, f"select {', '.join(f'max(length({column}))' for column in columns)} from {table}")
        assert max(lengths[0]) <= 220, table
    assert query(world, "select count(*) from core.player_lists where name like '%… #%' or team like '%… #%'")[0][0] > 0
