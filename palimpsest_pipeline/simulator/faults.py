"""Failures on demand, per platform: which are switched on, and which requests they affect.

No failure is active unless a test or a demonstration activates it. `damaged_answers` has the effects on answers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

import msgspec

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.platforms.packs import load_packs

from .latency import ANY_PLACE, ENDPOINTS, draw_share

BREAKING_MODES: Final = ("outage", "reset", "hang")
"""Modes without any answer: the connection is aborted, or no byte is sent."""
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
"""Modes that send another answer instead of the real one."""
SPOILING_MODES: Final = ("truncate", "cut_json", "latency", "clock", "kickoffs", "page_missing", "tournament_gone")
"""Modes that send the real answer late, truncated, or with an error in it."""
MODES: Final = ("none", *BREAKING_MODES, *REPLACING_MODES, *SPOILING_MODES)


@dataclass(frozen=True, slots=True)
class Fault:
    """One failure that can be activated.

    It affects `share` of the requests to `endpoint` ('*' or one of tree, listing, detail). `from_request`, `for_s` and
    `tries` limit it further; each of the other settings belongs to the mode named in its description.
    """

    mode: str = "none"
    share: float = 1.0
    endpoint: str = "*"
    from_request: int = 1
    """Number of the first affected request, counted from the activation."""
    for_s: float | None = None
    """Seconds that the failure lasts from that request on; None means until it is deactivated."""
    tries: int | None = None
    """Number of first attempts of each request that are affected; None means all."""
    latency_ms: float = 350.0
    """Mode latency: median of the added latency, in milliseconds."""
    sigma: float = 0.4
    """Mode latency: standard deviation of the latency's logarithm."""
    retry_after_s: int = 1
    """Mode ratelimit: the seconds in Retry-After."""
    as_date: bool = False
    """Mode ratelimit: send Retry-After as a date, by the platform's own clock."""
    offset_s: float = 3600.0
    """Mode clock: seconds that the Date header is ahead. Mode kickoffs: seconds that kickoffs are ahead."""
    page: int = 2
    """Mode page_missing: number of the empty page of a list.

    Bet9ja has no pages; there the group in this position of the tree is empty.
    """
    tournament: str = ""
    """Mode tournament_gone: the tournament's id on the platform; '' means the first one of the world."""
    to: str = "http://elsewhere.invalid/"
    """Mode redirect: the target."""
    size_mb: int | None = None
    """Modes bomb and huge: megabytes of the decompressed body; None means 1024 for bomb and 100 for huge."""

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> "Fault":
        """Return the failure with these settings. Raises ValueError with the invalid one."""
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
    """Return the platform and the failure that `PLATFORM=MODE[,SETTING=VALUE...]` describes.

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

    Which requests a share affects depends only on the request and the number of its attempt, so it is the same in every
    run, whatever the order of requests.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._active_faults: dict[str, dict[str, _ActiveFault]] = {}

    def switch_fault(self, platform: str, fault: Fault) -> None:
        """Activate a failure in addition to other modes; mode `none` deactivates all failures of the platform."""
        if fault.mode == "none":
            self._active_faults.pop(platform, None)
            return
        modes = self._active_faults.setdefault(platform, {})
        modes.pop(fault.mode, None)
        modes[fault.mode] = _ActiveFault(fault)

    def list_faults_met(
        self, platform: str, endpoint: str, question: str, attempt: int, now: float
    ) -> dict[str, Fault]:
        """Count this request, and return by mode the failures that affect it, the one activated last first.

        `question` is the identity of the request, the same in each attempt. `now` is in monotonic seconds.
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
        """Return whether an outage is active, which also stops answers to earlier requests."""
        outage = self._active_faults.get(platform, {}).get("outage")
        return outage is not None and outage.is_on(now) and outage.fault.endpoint in {"*", endpoint}
