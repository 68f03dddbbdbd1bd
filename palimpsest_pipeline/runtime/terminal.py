"""What a terminal is sent: a console on which outside text steers nothing, and a log of this product's warnings.

Belongs here: what every process that prints needs. Does not: commands and their options (`console`).
"""

import logging
import os
import sys
from collections.abc import Iterable
from typing import Final, TextIO

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from palimpsest_pipeline.domain.printable_text import escape_controls

PACKAGE_NAME: Final = __name__.partition(".")[0]
PIPE_WIDTH_COLUMNS: Final = 160
"""Columns of a table that goes to a file or another program, unless COLUMNS says otherwise."""


def find_output_width(stream: TextIO) -> int | None:
    """Return the columns of what is printed to `stream`; None leaves them to the terminal."""
    return None if stream.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH_COLUMNS


class PrintableConsole(Console):
    """A console on which no text clears the screen or sets a title, whatever names it holds: only the console's own
    styles steer the terminal.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield (
                segment
                if segment.control
                else Segment(escape_controls(segment.text, kept_characters="\n\t"), segment.style)
            )


class TerminalLog(logging.Handler):
    """Shows warnings of this product as one line each, without tracebacks, on what standard error is when this is made.

    Libraries log for whoever runs a server; a command says itself what went wrong, and what a run logs stands in its
    log in the UI.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._console = PrintableConsole(file=sys.stderr, width=find_output_width(sys.stderr))

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] != PACKAGE_NAME:
            return
        line = escape_controls(" ".join(record.getMessage().split()))  # Rich drops some control characters silently
        self._console.print(f"warning: {line}", style="dim", markup=False, highlight=False, soft_wrap=True)


def log_to_terminal() -> None:
    """Have every log of this process go to `TerminalLog` and nowhere else."""
    logging.getLogger().handlers[:] = [TerminalLog()]
