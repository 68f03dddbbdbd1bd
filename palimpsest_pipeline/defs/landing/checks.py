"""Checks of the landing."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import psycopg

from palimpsest_pipeline.domain.enums import Severity
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.storage.ledger import cycle_reader
from palimpsest_pipeline.storage.ledger.check_verdicts import Verdict

from ..cycle_checks import cycle_check

LARGEST_OFFSET_S: Final = 30.0
"""Of a host's clock to ours. What a host says of time (when to ask again, since when an answer is cached) is wrong by so much."""


@cycle_check(asset=["landing", "odds_payloads"], of=("core", "odds_snapshots"))
def every_platform_answered(pipeline: Pipeline, conn: psycopg.Connection, cycle_ids: Sequence[int]) -> Iterator[Verdict]:
    """No platform failed in any cycle. A failed platform is reported even when the others answered."""
    for cycle_id, failed in _by_cycle(cycle_reader.failed_platforms(conn, cycle_ids)).items():
        mend = "Nothing of it is concluded absent; see ops.scrape_runs. The next cycle asks again"
        yield Verdict(cycle_id, Severity.ERROR, len(failed), f"{', '.join(failed)}. {mend}")


@cycle_check(asset=["landing", "odds_payloads"], of=("core", "odds_snapshots"))
def clocks_of_the_hosts_agree(pipeline: Pipeline, conn: psycopg.Connection, cycle_ids: Sequence[int]) -> Iterator[Verdict]:
    """In no cycle a host's clock differed by more than half a minute from ours. If all hosts differ alike, our clock is wrong."""
    offsets = cycle_reader.clock_offsets_s(conn, cycle_ids)
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
