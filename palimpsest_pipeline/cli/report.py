"""The command `palimpsest report`: it writes the coverage page."""

import webbrowser
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .console import JsonOption, fail, open_current_pipeline, print_json, print_line

report_app = typer.Typer()


@report_app.command("report")
def report(
    file: Annotated[
        Path | None,
        typer.Option("--out", help="File to write. Default: report/coverage.html in PALIMPSEST_HOME_DIR."),
    ] = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write the coverage page: one HTML file with the newest coverage and trends.

    The page loads nothing from the network when it is opened.
    """
    from palimpsest_pipeline.pipeline.coverage_page import PageNotWrittenError, write_page

    with open_current_pipeline() as pipeline:
        try:
            page = write_page(pipeline, file and file.expanduser().absolute())
        except PageNotWrittenError as error:
            raise fail(f"{error}; choose another place with --out") from error
    if as_json:
        print_json(asdict(page), str)
    else:
        print_line(page.describe())
    if show and not webbrowser.open(page.path.as_uri()):
        raise fail(f"cannot open a browser here: open {page.path} yourself")
