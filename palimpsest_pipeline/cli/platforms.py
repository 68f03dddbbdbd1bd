"""The `palimpsest platforms` commands: list the platforms, check packs, create a new pack.

Exit codes as in `cli/__main__.py`; `check` ends with 1 when a pack has a fault.
"""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from palimpsest_pipeline.settings import PLATFORMS_VARIABLE, load_settings

from .console import JsonOption, print_finding, print_json, print_line, print_table, say
from .show_rows import CsvOption, XlsxOption, show

platforms_app = typer.Typer(no_args_is_help=True, help="The platforms and their packs: list, check, create a new one.")


@platforms_app.command("list")
def list_command(
    active: Annotated[bool, typer.Option("--active", help="Only the platforms that are requested.")] = False,
    as_json: JsonOption = False,
    csv: CsvOption = None,
    xlsx: XlsxOption = None,
) -> None:
    """List the platforms of all installed packs: a pack has one in each of its countries.

    Packs that cannot be read are named. The last answer is shown if the database is running.
    """
    import polars as pl

    from palimpsest_pipeline.operate.packs.platform_list import list_platforms
    from palimpsest_pipeline.platforms.packs import load_packs

    rows = [row for row in list_platforms(load_settings()) if row["is_active"] or not active]
    problems = dict(load_packs().problems)

    def print_text() -> None:
        headings = ("platform", "role", "name", "dialect", "country", "trust", "package", "last answer")
        columns = ("name", "dialect", "country", "trust", "distribution", "last_answer_at")
        print_table(
            f"{len(rows)} platforms",
            [(heading, heading == "trust") for heading in headings],
            [
                (
                    row["platform"],
                    "home" if row["is_home"] else "active" if row["is_active"] else "",
                    *(row[column] for column in columns),
                )
                for row in rows
            ],
        )
        for name, problem in problems.items():
            say(f"the pack {name} cannot be read: {problem}")
        if not active:
            say(f"{PLATFORMS_VARIABLE} selects the platforms that are requested, e.g. betpawa,sportybet,sportybet-gh")

    texts = [{**row, "last_answer_at": row["last_answer_at"] and str(row["last_answer_at"])} for row in rows]
    tables = {"platforms": pl.DataFrame(texts, infer_schema_length=None)}
    show(tables, print_text, as_json=as_json, report={"platforms": texts, "problems": problems}, csv=csv, xlsx=xlsx)


@platforms_app.command("check")
def check_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[PACK]…", help="Packs to check. Default: all installed ones.")
    ] = None,
    recorded: Annotated[
        Path | None,
        typer.Option(
            help="Folder of recorded answers with a manifest.json as `landing import` reads it. Used for packs without "
            "answers in their own folder `recorded`."
        ),
    ] = None,
    min_share: Annotated[
        float, typer.Option(min=0, max=1, help="Minimum share of the recorded lines that must be mapped.")
    ] = 0.9,
    as_json: JsonOption = False,
) -> None:
    """Check packs, and print the place of each fault.

    Checks pack.toml, the dialect, the vocabulary, the recorded answers, and the answers of a simulated site. Starts a
    simulated site on loopback for each pack. Sends nothing to real sites.
    """
    from palimpsest_pipeline.operate.packs.check_packs import check_packs

    findings = check_packs(names or (), recorded=recorded, min_share=min_share)
    if as_json:
        print_json(findings)
    else:
        for finding in findings:
            print_finding(finding.ok, f"{finding.pack}, {finding.check}: {finding.detail}")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


@platforms_app.command("new")
def new_command(
    name: Annotated[str, typer.Argument(help="Name of the pack: lowercase letters and digits, e.g. lionbet.")],
    like: Annotated[
        str | None,
        typer.Option(
            metavar="PACK", help="An installed pack whose dialect the site uses. The new pack then has no Python."
        ),
    ] = None,
    country: Annotated[
        str | None, typer.Option(metavar="CC", help="Two-letter code of the pack's default country.")
    ] = None,
    folder: Annotated[Path, typer.Option(help="Folder in which the package is written.")] = Path(),
) -> None:
    """Create a package with a new pack. It can be installed as it is, and passes `check`."""
    from palimpsest_pipeline.operate.packs.new_pack import create_pack

    created = create_pack(name, folder, like=like, country=country)
    for path in created.files:
        print_line(str(path))
    say(
        f"install it with `pip install -e {shlex.quote(str(created.folder))}` or `uv pip install -e …`, then run "
        f"`palimpsest platforms check {created.name}`, and add {created.name} to {PLATFORMS_VARIABLE}"
    )
