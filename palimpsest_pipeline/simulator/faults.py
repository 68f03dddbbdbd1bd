"""Failures on demand, per platform: the active ones, and the requests that they affect.

No failure is active unless a test or a demonstration activates it. `damaged_answers` holds the effects on answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import msgspec

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.platforms.packs import load_packs

from .latency import ANY_PLACE, ENDPOINTS, draw_share

BREAKING_MODES: Final = ("outage", "reset", "hang")
"""No answer at all: the connection is aborted, or stays silent."""
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
"""The real answer, but late, truncated, or with an error in it."""
MODES: Final = ("none", *BREAKING_MODES, *REPLACING_MODES, *SPOILING_MODES)


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure that can be activated.

    It affects `share` of the requests to `endpoint` ('*' or one of tree, listing, detail). `from_request`, `for_s` and
    `tries` limit it further; the other settings belong to single modes.
    """

    mode: str = "none"
    share: float = 1.0
    endpoint: str = "*"
    from_request: int = 1
    """The first affected request, counted from the activation."""
    for_s: float | None = None
    """How long it lasts from that request on; None means until it is deactivated."""
    tries: int | None = None
    """It affects only the first `tries` attempts of each request; None means all."""
    latency_ms: float = 350.0
    """Mode latency: median of the added latency."""
    sigma: float = 0.4
    """Mode latency: spread of its logarithm."""
    retry_after_s: int = 1
    """Mode ratelimit: the seconds in Retry-After."""
    as_date: bool = False
    """Mode ratelimit: send Retry-After as a date, by the platform's own clock."""
    offset_s: float = 3600.0
    """Mode clock: how far the Date header is ahead. Mode kickoffs: how far every kickoff is."""
    page: int = 2
    """Mode page_missing: the empty page of a list.

    Bet9ja has no pages; there it is the group in this position of the tree.
    """
    tournament: str = ""
    """Mode tournament_gone: its id on the platform; '' means the first one of the world."""
    to: str = "http://elsewhere.invalid/"
    """Mode redirect: the target."""
    size_mb: int | None = None
    """Modes bomb and huge: size of the body, unpacked; None means 1024 and 100."""

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> "Fault":
        """Return the failure of these settings. Raises ValueError naming the invalid one."""
        known_fields = {field.name for field in fields(cls)}
        unknown_fields = set(settings) - known_fields - {"platform"}
        if unknown_fields:
            raise ValueError(f"unknown fields {sorted(unknown_fields)}; known are {sorted(known_fields)}")
        fault = cls(**{name: settings[name] for name in known_fields & set(settings)})
        if fault.mode not in MODES:
            raise ValueError(f"unknown mode {fault.mode!r}; known are {', '.join(MODES)}")
        if not 0 <= fault.share <= 1:
            raise ValueError(f"share must be between 0 and 1, not {fault.share}")
        if fault.endpoint not in {ANY_PLACE, *ENDPOINTS}:
            raise ValueError(f"unknown endpoint {fault.endpoint!r}; known are {', '.join((ANY_PLACE, *ENDPOINTS))}")
        return fault


def parse_fault(text: str) -> tuple[Platform, Fault]:
    """Return the platform and the failure of `PLATFORM=MODE[,SETTING=VALUE...]`.

    Example: `bet9ja=error,share=0.3`. Raises ValueError.
    """
    platform, separator, description = text.partition("=")
    mode, *settings = description.split(",")
    if platform not in load_packs().platforms or not separator or not mode:
        raise ValueError(
            f"{text!r} names no failure: write PLATFORM=MODE, e.g. bet9ja=down; platforms are those of "
            "`palimpsest platforms list`"
        )
    values = dict(setting.partition("=")[::2] for setting in settings)
    known_settings = [field.name for field in fields(Fault) if field.name != "mode"]
    if unknown := [name for name in values if name not in known_settings]:
        raise ValueError(f"{text!r}: unknown settings {', '.join(unknown)}; known are {', '.join(known_settings)}")
    values = {"mode": mode, **values}
    try:
        converted = msgspec.convert(values, Fault, strict=False)
        return Platform(platform), Fault.from_json(
            {name: getattr(converted, name, value) for name, value in values.items()}
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
    """The active failures of all platforms.

    Which requests a share affects depends on request and attempt alone, so runs repeat in whatever order they send
    requests.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._active_faults: dict[str, dict[str, _ActiveFault]] = {}

    def switch_fault(self, platform: str, fault: Fault) -> None:
        """Activate a failure beside those of other modes; mode `none` deactivates all of the platform."""
        if fault.mode == "none":
            self._active_faults.pop(platform, None)
            return
        modes = self._active_faults.setdefault(platform, {})
        modes.pop(fault.mode, None)
        modes[fault.mode] = _ActiveFault(fault)

    def list_faults_met(
        self, platform: str, endpoint: str, question: str, attempt: int, now: float
    ) -> dict[str, Fault]:
        """Return the failures that affect this request, by mode, the one activated last first.

        `now` is in monotonic seconds.
        """
        faults = {}
        for mode, active in reversed(self._active_faults.get(platform, {}).items()):
            fault = active.fault
            if fault.endpoint not in {"*", endpoint}:
                continue
            active.requests += 1
            if active.started_at is None and active.requests >= fault.from_request:
                active.started_at = now
            is_met = active.is_on(now) and (fault.tries is None or attempt <= fault.tries)
            if is_met and draw_share(self._seed, mode, platform, question, attempt) < fault.share:
                faults[mode] = fault
        return faults

    def is_out(self, platform: str, endpoint: str, now: float) -> bool:
        """Return whether an outage is active: answers to earlier requests are then lost too."""
        outage = self._active_faults.get(platform, {}).get("outage")
        return outage is not None and outage.is_on(now) and outage.fault.endpoint in {"*", endpoint}
