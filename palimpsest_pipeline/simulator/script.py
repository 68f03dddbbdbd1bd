"""Manual changes of the running simulated world: a fixture is dropped, moved, or listed late."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.platforms import BET9JA, BETPAWA, SPORTYBET

from .timeline import Postponement, Removal, Timeline
from .world import Fixture, Listing

SCRIPT_ACTIONS = ("drop", "postpone", "list")


def apply_script(timeline: Timeline, instruction: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Apply one instruction to the timeline, effective at `now`; return what was done.

    `{"action": "drop", "sr_id": 1, "platform": "bet9ja"}` removes the fixture with this SportRadar id; without
    `platform` it is removed everywhere. `{"action": "postpone", "sr_id": 1, "minutes": 30}` moves its kickoff on all
    platforms. `{"action": "list", "sr_id": 1, "platform": "betpawa"}` lists it on a platform that does not have it.
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
    else:
        if platform is None:
            raise ValueError("listing a fixture needs a platform")
        timeline.added_listings.append((now, _build_late_listing(fixture, platform)))
    timeline.n_manual_changes += 1
    return {"done": action, "sr_id": fixture.sr_id, "at": now.isoformat()}


def _build_late_listing(fixture: Fixture, platform: Platform) -> Listing:
    if platform in fixture.platforms:
        raise ValueError(f"{platform} lists it already")
    ids = {
        BETPAWA: str(39_000_000 + fixture.number),
        SPORTYBET: f"sr:match:{fixture.sr_id}",
        BET9JA: str(880_000_000 + fixture.number),
    }
    tournament = fixture.tournament
    return Listing(
        platform, ids[platform], fixture, tournament.ids[platform], tournament.names[platform], 40, quirk=5_000
    )
