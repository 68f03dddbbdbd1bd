"""Checks of the landing."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import psycopg

from ...domain.words import Severity
from ...storage import ledger_readers
from ...storage.cycle_checks import Verdict
from ..cycle_checks import cycle_check
from ..pipeline import Pipeline

LARGEST_OFFSET_S: Final = 30.0
"""Of a host's clock to ours. What a host says of time (when to ask again, since when an answer is cached) is wrong by so much."""


@cycle_check(asset=["landing", "odds_payloads"], of=("core", "odds_snapshots"))
def every_platform_answered(pipeline: Pipeline, conn: psycopg.Connection, cycle_ids: Sequence[int]) -> Iterator[Verdict]:
    """No platform failed in any cycle. A failed platform is reported even when the others answered."""
    for cycle_id, failed in _by_cycle(ledger_readers.failed_platforms(conn, cycle_ids)).items():
        mend = "Nothing of it is concluded absent; see ops.scrape_runs. The next cycle asks again"
        yield Verdict(cycle_id, Severity.ERROR, len(failed), f"{', '.join(failed)}. {mend}")


@cycle_check(asset=["landing", "odds_payloads"], of=("core", "odds_snapshots"))
def clocks_of_the_hosts_agree(pipeline: Pipeline, conn: psycopg.Connection, cycle_ids: Sequence[int]) -> Iterator[Verdict]:
    """In no cycle a host's clock differed by more than half a minute from ours. If all hosts differ alike, our clock is wrong."""
    offsets = ledger_readers.clock_offsets_s(conn, cycle_ids)
    far = [
        (cycle_id, f"the clock of {name} is {offset_s:+.0f} s from ours") for cycle_id, name, offset_s in offsets if abs(offset_s) > LARGEST_OFFSET_S
    ]
    for cycle_id, said in _by_cycle(far).items():
        mend = "Landed instants are those of our clock, and are not corrected. Check this machine's clock"
        yield Verdict(cycle_id, Severity.WARN, len(said), f"{', '.join(said)}. {mend}")


def _by_cycle(lines: list[tuple[int, str]]) -> dict[int, list[str]]:
    found: defaultdict[int, list[str]] = defaultdict(list)
    for cycle_id, line in lines:
        found[cycle_id].append(line)
    return found
