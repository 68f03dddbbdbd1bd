"""Output to a terminal: a console that outside text cannot control, and a log of our warnings.

Belongs here: the needs of every process that prints. Does not belong here: commands and their options (`console`).
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
"""Width of a table that goes to a file or another program, unless COLUMNS sets another one."""


def find_output_width(stream: TextIO) -> int | None:
    """Return the width of output to `stream`, columns; None: the terminal decides."""
    return None if stream.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH_COLUMNS


class PrintableConsole(Console):
    """A console on which no text can clear the screen or set a title, even with control characters.

    Only the console's own styles control the terminal.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield (
                segment
                if segment.control
                else Segment(escape_controls(segment.text, kept_characters="\n\t"), segment.style)
            )


class TerminalLog(logging.Handler):
    """Shows this product's warnings as one line each, without tracebacks, on the present standard error.

    Logs of libraries are for operators of servers. A command prints its own errors, and the log of a run is in the UI.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._console = PrintableConsole(file=sys.stderr, width=find_output_width(sys.stderr))

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] != PACKAGE_NAME:
            return
        line = escape_controls(
            " ".join(record.getMessage().split())
        )  # Rich drops some control characters without notice
        self._console.print(f"warning: {line}", style="dim", markup=False, highlight=False, soft_wrap=True)


def log_to_terminal() -> None:
    """Send every log of this process to `TerminalLog` and nowhere else."""
    logging.getLogger().handlers[:] = [TerminalLog()]
