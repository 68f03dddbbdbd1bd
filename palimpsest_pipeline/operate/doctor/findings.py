"""What a look comes to, and looking at all at once: what is unreachable keeps nothing else from being seen.

Knows no Dagster.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from queue import Empty, SimpleQueue
from typing import Any, Final

from palimpsest_pipeline.domain.secrets import build_redactor
from palimpsest_pipeline.settings import Settings

CHECK_TIMEOUT_S: Final = 11.0
"""After so long what has not answered is reported as that. A little more than a connection to a database may take."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at.

    `name` is the same in every version; `detail` says what was found and, when not ok, what to do.
    """

    name: str
    ok: bool
    detail: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


Check = Callable[[Settings], Finding | list[Finding]]


def run_checks(settings: Settings, checks: Mapping[str, Check], timeout_s: float = CHECK_TIMEOUT_S) -> list[Finding]:
    """The findings of all looks, in their order, without any secret of the settings. A look that fails, or is not over
    in time, is a finding of its own that is not ok."""
    hide = build_redactor(settings.list_secrets())
    done: SimpleQueue[tuple[str, list[Finding]]] = SimpleQueue()

    def run(name: str, look: Check) -> None:
        try:
            found = look(settings)
        except Exception as error:  # noqa: BLE001 - a look that fails says nothing of the others
            found = Finding(name, False, f"could not be looked at: {type(error).__name__}: {_format_error(error)}")
        done.put(
            (
                name,
                [replace(each, detail=hide(each.detail)) for each in (found if isinstance(found, list) else [found])],
            )
        )

    for name, look in checks.items():
        threading.Thread(target=run, args=(name, look), daemon=True).start()  # nobody waits for one that hangs
    found: dict[str, list[Finding]] = {}
    deadline = time.monotonic() + timeout_s
    while len(found) < len(checks):
        try:
            name, findings = done.get(timeout=max(deadline - time.monotonic(), 0.001))
        except Empty:
            break
        found[name] = findings
    late = f"no answer within {timeout_s:.0f} s: check the address, and what lies between"
    return [finding for name in checks for finding in found.get(name, [Finding(name, False, late)])]


def _format_error(error: Exception) -> str:
    return " ".join(str(error).split())
