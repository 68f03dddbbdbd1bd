"""The findings of checks, and a runner that executes all checks at the same time.

A check that hangs does not delay the others. Imports no Dagster.
"""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from queue import Empty, SimpleQueue
from typing import Final, ParamSpec

from palimpsest_pipeline.domain.secrets import build_redactor
from palimpsest_pipeline.settings import Settings

CHECK_TIMEOUT_S: Final = 11.0
"""Time limit of all checks, in seconds. A check that has not ended by then is reported as late.

It is a little longer than the timeout of a connection to a database.
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check.

    `name` stays the same in every version. `detail` describes the result and, when `ok` is false, the remedy.
    """

    name: str
    ok: bool
    detail: str


Check = Callable[[Settings], Finding | list[Finding]]


P = ParamSpec("P")


class Problem(Exception):
    """Something that a check has found wrong. The message describes it, and the remedy."""


class NotChecked(Exception):
    """Something that could not be checked, and that is no problem by itself. The message gives the reason."""


def doctor_check(name: str) -> Callable[[Callable[P, str]], Callable[P, Finding]]:
    """Make a check of a function that returns the detail of its finding, or raises Problem or NotChecked."""

    def decorate(examine: Callable[P, str]) -> Callable[P, Finding]:
        @wraps(examine)
        def build_finding(*args: P.args, **kwargs: P.kwargs) -> Finding:
            try:
                return Finding(name, True, examine(*args, **kwargs))
            except NotChecked as reason:
                return Finding(name, True, str(reason))
            except Problem as problem:
                return Finding(name, False, str(problem))

        return build_finding

    return decorate


def run_checks(settings: Settings, checks: Mapping[str, Check], timeout_s: float = CHECK_TIMEOUT_S) -> list[Finding]:
    """Run all checks at the same time, and return their findings in the order of `checks`.

    Secrets of the settings are removed from the texts. A check that raises an error, or does not end in time, becomes a
    finding that is not ok.
    """
    hide = build_redactor(settings.list_secrets())
    results: SimpleQueue[tuple[str, list[Finding]]] = SimpleQueue()

    def run(name: str, check: Check) -> None:
        try:
            result = check(settings)
        except Exception as error:  # noqa: BLE001 - the other checks must still be reported
            detail = f"could not be checked: {type(error).__name__}: {' '.join(str(error).split())}"
            result = Finding(name, False, detail)
        findings = result if isinstance(result, list) else [result]
        results.put((name, [replace(finding, detail=hide(finding.detail)) for finding in findings]))

    for name, check in checks.items():
        threading.Thread(target=run, args=(name, check), daemon=True).start()  # daemon thread, because a check may hang
    findings_by_name: dict[str, list[Finding]] = {}
    deadline = time.monotonic() + timeout_s
    while len(findings_by_name) < len(checks):
        try:
            name, findings = results.get(timeout=max(deadline - time.monotonic(), 0.001))
        except Empty:
            break
        findings_by_name[name] = findings
    late = f"no answer within {timeout_s:.0f} s: check the address and the network"
    return [finding for name in checks for finding in findings_by_name.get(name, [Finding(name, False, late)])]
