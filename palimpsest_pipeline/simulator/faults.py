"""Failures on demand, per platform: what is switched on, and which requests it befalls. Off unless a test or a
demonstration asks.

What a failure does to an answer is in `damaged_answers`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import msgspec

from palimpsest_pipeline.domain.enums import Platform

from .latency import ANY_PLACE, ENDPOINTS, draw_share

BREAKING_MODES: Final = ("outage", "reset", "hang")
"""No answer at all: the connection is broken off, or nothing ever comes."""
REPLACING_MODES: Final = (
    "down",
    "block",
    "html",
    "error",
    "empty202",
    "ratelimit",
    "challenge503",
    "redirect",
    "bomb",
    "huge",
)
"""Another answer in place of the real one."""
SPOILING_MODES: Final = ("truncate", "cut_json", "latency", "clock", "kickoffs", "page_missing", "tournament_gone")
"""The real answer, but late, cut off, or with something wrong in it."""
MODES: Final = ("none", *BREAKING_MODES, *REPLACING_MODES, *SPOILING_MODES)


@dataclass(frozen=True, slots=True)
class Fault:
    """One switched-on failure. It befalls `share` of the requests to `endpoint` ('*' all of: tree, listing, detail),
    and there are more settings of when it does; the others belong to single modes.
    """

    mode: str = "none"
    share: float = 1.0
    endpoint: str = "*"
    from_request: int = 1
    """The first request to be befallen, counted from switching on."""
    for_s: float | None = None
    """How long it lasts from that request on; None: until it is switched off."""
    tries: int | None = None
    """It befalls only so many askings of each question; None: all of them."""
    latency_ms: float = 350.0
    """latency: median of the added latency."""
    sigma: float = 0.4
    """latency: spread of its logarithm."""
    retry_after_s: int = 1
    """ratelimit: how long to stay away."""
    as_date: bool = False
    """ratelimit: say so as a date, by the platform's own clock."""
    offset_s: float = 3600.0
    """clock: how far the Date header is ahead. kickoffs: how far every kickoff is."""
    page: int = 2
    """page_missing: which page of a list is empty; of Bet9ja, which has none, the group in this place of the tree."""
    tournament: str = ""
    """tournament_gone: its id on the platform; '': the first one of the world."""
    to: str = "http://elsewhere.invalid/"
    """redirect: where to."""
    size_mb: int | None = None
    """bomb, huge: size of the body, unpacked; None: 1024 and 100."""

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> "Fault":
        """Raises ValueError naming what is wrong."""
        known = {field.name for field in fields(cls)}
        unknown = set(settings) - known - {"platform"}
        if unknown:
            raise ValueError(f"unknown fields {sorted(unknown)}; known are {sorted(known)}")
        fault = cls(**{name: settings[name] for name in known & set(settings)})
        if fault.mode not in MODES:
            raise ValueError(f"unknown mode {fault.mode!r}; known are {', '.join(MODES)}")
        if not 0 <= fault.share <= 1:
            raise ValueError(f"share must be between 0 and 1, not {fault.share}")
        if fault.endpoint not in {ANY_PLACE, *ENDPOINTS}:
            raise ValueError(f"unknown endpoint {fault.endpoint!r}; known are {', '.join((ANY_PLACE, *ENDPOINTS))}")
        return fault


def parse_fault(text: str) -> tuple[Platform, Fault]:
    """Return the platform and the failure that `PLATFORM=MODE[,SETTING=VALUE...]` asks for, e.g.

    `bet9ja=error,share=0.3`. Raises ValueError.
    """
    platform, separator, asked = text.partition("=")
    mode, *settings = asked.split(",")
    if platform not in list(Platform) or not separator or not mode:
        raise ValueError(
            f"{text!r} names no failure: write PLATFORM=MODE, e.g. bet9ja=down; platforms are {', '.join(Platform)}"
        )
    named = dict(setting.partition("=")[::2] for setting in settings)
    known = [field.name for field in fields(Fault) if field.name != "mode"]
    if unknown := [name for name in named if name not in known]:
        raise ValueError(f"{text!r}: unknown settings {', '.join(unknown)}; known are {', '.join(known)}")
    named = {"mode": mode, **named}
    try:
        converted = msgspec.convert(named, Fault, strict=False)
        return Platform(platform), Fault.from_json(
            {name: getattr(converted, name, value) for name, value in named.items()}
        )
    except (msgspec.ValidationError, ValueError) as error:
        raise ValueError(f"{text!r}: {error}") from None


@dataclass(slots=True)
class _ActiveFault:
    fault: Fault
    requests: int = 0
    started_at: float | None = None

    def is_on(self, now: float) -> bool:
        return self.started_at is not None and (self.fault.for_s is None or now < self.started_at + self.fault.for_s)


class FaultBoard:
    """What is switched on now.

    Which requests a share befalls depends on question and attempt alone, so runs repeat, in whatever order they ask.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._active_faults: dict[str, dict[str, _ActiveFault]] = {}

    def switch_fault(self, platform: str, fault: Fault) -> None:
        """Switches a failure on beside those of other modes; `none` switches all of the platform off."""
        if fault.mode == "none":
            self._active_faults.pop(platform, None)
            return
        modes = self._active_faults.setdefault(platform, {})
        modes.pop(fault.mode, None)
        modes[fault.mode] = _ActiveFault(fault)

    def list_faults_met(
        self, platform: str, endpoint: str, question: str, attempt: int, now: float
    ) -> dict[str, Fault]:
        """The failures that this request meets, by mode, the one that was switched on last first.

        `now` in monotonic seconds.
        """
        found = {}
        for mode, switched in reversed(self._active_faults.get(platform, {}).items()):
            fault = switched.fault
            if fault.endpoint not in {"*", endpoint}:
                continue
            switched.requests += 1
            if switched.started_at is None and switched.requests >= fault.from_request:
                switched.started_at = now
            met = switched.is_on(now) and (fault.tries is None or attempt <= fault.tries)
            if met and draw_share(self._seed, mode, platform, question, attempt) < fault.share:
                found[mode] = fault
        return found

    def is_out(self, platform: str, endpoint: str, now: float) -> bool:
        """Whether an outage is on: then answers to earlier requests do not come through either."""
        outage = self._active_faults.get(platform, {}).get("outage")
        return outage is not None and outage.is_on(now) and outage.fault.endpoint in {"*", endpoint}
