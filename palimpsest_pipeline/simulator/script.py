"""Events put into the simulated world by hand while it runs: a fixture dropped, moved, or listed late."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from palimpsest_pipeline.domain.enums import Platform

from .timeline import Dropped, Postponed, Timeline
from .world import Fixture, Listing

ACTIONS = ("drop", "postpone", "list")


def apply_script(timeline: Timeline, asked: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """Does what `asked` says, from now on. Raises ValueError or KeyError naming what is wrong.

    `{"action": "drop", "sr_id": 1, "platform": "bet9ja"}` (platform optional: everywhere),
    `{"action": "postpone", "sr_id": 1, "minutes": 30}`, `{"action": "list", "sr_id": 1, "platform": "betpawa"}`.
    """
    action = asked["action"]
    if action not in ACTIONS:
        raise ValueError(f"unknown action {action!r}; known are {', '.join(ACTIONS)}")
    fixture = next((one for one in timeline.world.fixtures if one.sr_id == int(asked["sr_id"])), None)
    if fixture is None:
        raise ValueError(f"no fixture with sr_id {asked['sr_id']}")
    platform = Platform(asked["platform"]) if asked.get("platform") else None
    if action == "drop":
        timeline.dropped.setdefault(fixture.number, []).append(Dropped(now, platform))
    elif action == "postpone":
        # Published everywhere at once: a hand-made move is the same for all platforms.
        timeline.postponed.setdefault(fixture.number, []).append(Postponed(now - timedelta(hours=1), timedelta(minutes=float(asked["minutes"]))))
    else:
        if platform is None:
            raise ValueError("listing a fixture needs a platform")
        timeline.added.append((now, _late_listing(fixture, platform)))
    return {"done": action, "sr_id": fixture.sr_id, "at": now.isoformat()}


def _late_listing(fixture: Fixture, platform: Platform) -> Listing:
    if platform in fixture.platforms:
        raise ValueError(f"{platform} lists it already")
    ids = {
        Platform.BETPAWA: str(39_000_000 + fixture.number),
        Platform.SPORTYBET: f"sr:match:{fixture.sr_id}",
        Platform.BET9JA: str(880_000_000 + fixture.number),
    }
    tournament = fixture.tournament
    return Listing(platform, ids[platform], fixture, tournament.ids[platform], tournament.names[platform], 40, quirk=5_000)
