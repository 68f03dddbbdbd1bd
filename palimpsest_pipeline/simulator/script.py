"""Manual changes of the running simulated world.

A fixture is dropped, moved, or listed late; platforms move its prices or suspend it one after the other.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.simulated_platforms import BET9JA, BETPAWA, SPORTYBET

from .timeline import PlantedMove, PlantedSuspension, Postponement, Removal, Timeline
from .world import SimulatedFixture, SimulatedListing

SCRIPT_ACTIONS = ("drop", "postpone", "list", "lead", "suspend")
DEFAULT_FACTOR = 1.5


def apply_script(timeline: Timeline, instruction: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Apply one instruction to the timeline, effective at `now`; return what was done.

    `{"action": "drop", "sr_id": 1, "platform": "bet9ja"}` removes the fixture with this SportRadar id; without
    `platform` it is removed everywhere. `{"action": "postpone", "sr_id": 1, "minutes": 30}` moves its kickoff on all
    platforms. `{"action": "list", "sr_id": 1, "platform": "betpawa"}` lists it on a platform that does not have it.
    `{"action": "lead", "sr_id": 1, "platforms": ["bet9ja", "betpawa"], "lag_s": 300}` raises the home side's expected
    goals by `factor` (1.5 by default) on the platforms, one after the other, `lag_s` apart. The action `suspend`, with
    `minutes` instead of `factor`, suspends all markets in the same way.
    Raises ValueError or KeyError that names the invalid part.
    """
    action = instruction["action"]
    if action not in SCRIPT_ACTIONS:
        raise ValueError(f"unknown action {action!r}; known are {', '.join(SCRIPT_ACTIONS)}")
    fixture = next(
        (candidate for candidate in timeline.world.fixtures if candidate.sr_id == int(instruction["sr_id"])), None
    )
    if fixture is None:
        raise ValueError(f"no fixture with sr_id {instruction['sr_id']}")
    platform = Platform(instruction["platform"]) if instruction.get("platform") else None
    if action == "drop":
        timeline.removals.setdefault(fixture.number, []).append(Removal(now, platform))
    elif action == "postpone":
        # All platforms publish a manual move at the same time.
        timeline.postponements.setdefault(fixture.number, []).append(
            Postponement(now - timedelta(hours=1), timedelta(minutes=float(instruction["minutes"])))
        )
    elif action in {"lead", "suspend"}:
        _plant_lead(timeline, fixture, instruction, now)
    else:
        if platform is None:
            raise ValueError("listing a fixture needs a platform")
        timeline.added_listings.append((now, _build_late_listing(fixture, platform)))
    timeline.n_manual_changes += 1
    return {"done": action, "sr_id": fixture.sr_id, "at": now.isoformat()}


def _plant_lead(timeline: Timeline, fixture: SimulatedFixture, instruction: Mapping[str, Any], now: datetime) -> None:
    """Plant a move or a suspension that the named platforms make one after the other."""
    lag = timedelta(seconds=float(instruction["lag_s"]))
    at = {Platform(name): now + place * lag for place, name in enumerate(instruction["platforms"])}
    if missing := sorted(set(at) - set(fixture.platforms)):
        raise ValueError(f"{', '.join(missing)} does not list it")
    if instruction["action"] == "lead":
        move = PlantedMove(at, float(instruction.get("factor", DEFAULT_FACTOR)))
        timeline.planted_moves.setdefault(fixture.number, []).append(move)
    else:
        suspension = PlantedSuspension(at, timedelta(minutes=float(instruction["minutes"])))
        timeline.planted_suspensions.setdefault(fixture.number, []).append(suspension)


def _build_late_listing(fixture: SimulatedFixture, platform: Platform) -> SimulatedListing:
    if platform in fixture.platforms:
        raise ValueError(f"{platform} lists it already")
    ids = {
        BETPAWA: str(39_000_000 + fixture.number),
        SPORTYBET: f"sr:match:{fixture.sr_id}",
        BET9JA: str(880_000_000 + fixture.number),
    }
    tournament = fixture.tournament
    return SimulatedListing(
        platform, ids[platform], fixture, tournament.ids[platform], tournament.names[platform], 40, quirk=5_000
    )
