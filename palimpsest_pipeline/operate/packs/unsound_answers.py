"""The error for answers that a pack does not read correctly."""

from collections.abc import Sequence
from typing import Final

from palimpsest_pipeline.domain.errors import PalimpsestError

MAX_NAMED: Final = 3


class UnsoundAnswers(PalimpsestError):
    """Recorded or simulated answers that a pack does not read correctly.

    The message names the first faults.
    """


def raise_faults(faults: Sequence[str]) -> None:
    """Raise UnsoundAnswers if there are faults. Its message names the first ones."""
    if faults:
        remainder = f"; and {len(faults) - MAX_NAMED} more" if len(faults) > MAX_NAMED else ""
        raise UnsoundAnswers(f"{'; '.join(sorted(faults)[:MAX_NAMED])}{remainder}")
