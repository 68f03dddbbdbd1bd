"""The error of answers that a pack does not read as it should."""

from collections.abc import Sequence
from typing import Final

from palimpsest_pipeline.domain.errors import PalimpsestError

MAX_NAMED: Final = 3


class UnsoundAnswers(PalimpsestError):
    """Recorded or simulated answers that a pack does not read as it should.

    The message names the first faults.
    """


def raise_faults(faults: Sequence[str]) -> None:
    """Raise UnsoundAnswers when there are faults."""
    if faults:
        remainder = f"; and {len(faults) - MAX_NAMED} more" if len(faults) > MAX_NAMED else ""
        raise UnsoundAnswers(f"{'; '.join(sorted(faults)[:MAX_NAMED])}{remainder}")
