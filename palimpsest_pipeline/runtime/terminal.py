"""Terminal output: a console that is safe for foreign text, and a handler for the product's warnings."""

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
"""Width in columns of output to a file or another program, unless COLUMNS is set."""


def find_output_width(stream: TextIO) -> int | None:
    """Return the width of output to `stream` in columns; None when the terminal's width is used."""
    return None if stream.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH_COLUMNS


class PrintableConsole(Console):
    """A console on which foreign text cannot control the terminal, such as clear it or set its title.

    Control characters in texts are escaped. Only the console's own styles are sent to the terminal.
    """

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield (
                segment
                if segment.control
                else Segment(escape_controls(segment.text, kept_characters="\n\t"), segment.style)
            )


class TerminalLog(logging.Handler):
    """Prints the product's warnings as one line each, without tracebacks, on standard error.

    Logs of libraries are not printed, because they are for operators of servers. A command prints its own errors, and
    the log of a run is in the UI.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._console = PrintableConsole(file=sys.stderr, width=find_output_width(sys.stderr))

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.partition(".")[0] != PACKAGE_NAME:
            return
        line = escape_controls(" ".join(record.getMessage().split()))  # Rich silently removes some control characters
        self._console.print(f"warning: {line}", style="dim", markup=False, highlight=False, soft_wrap=True)


def log_to_terminal() -> None:
    """Send all logs of this process to `TerminalLog` only."""
    logging.getLogger().handlers[:] = [TerminalLog()]
