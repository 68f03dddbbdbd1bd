"""Runs one benchmark by its name, which is its module's. Each has its own options: the parameters of its `measure`."""

import inspect
import json
import os
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Annotated, Any, Final

import typer
from rich.console import Console
from rich.table import Column, Table

from . import __package__ as package
from . import __path__ as here

NAMES = sorted(module.name for module in iter_modules(here) if not module.name.startswith(("_", "test_")))
MAX_LEVELS: Final = 4
"""Figures within more objects than these are shown by `--json` alone."""
AS_JSON = inspect.Parameter(
    "as_json",
    inspect.Parameter.KEYWORD_ONLY,
    default=False,
    annotation=Annotated[bool, typer.Option("--json", help="One JSON object in place of a table.")],
)

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def names(context: typer.Context) -> None:
    """Measures one part of the pipeline on this machine. Without a name the names are listed."""
    if context.invoked_subcommand is None:
        typer.echo("\n".join(NAMES))


def list_figures(found: Mapping[str, Any], prefix: str = "", level: int = 1) -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each figure of at most MAX_LEVELS names; lists of objects are left out."""
    for name, value in found.items():
        if isinstance(value, Mapping):
            if level < MAX_LEVELS:
                yield from list_figures(value, f"{prefix}{name} / ", level + 1)
        elif isinstance(value, list):
            if not any(isinstance(one, Mapping) for one in value):
                yield f"{prefix}{name}", "\n".join(map(str, value))
        else:
            yield f"{prefix}{name}", f"{value:,.4g}" if isinstance(value, float) else str(value)


def build_table(found: Mapping[str, Any]) -> Table:
    """One row per figure."""
    shown = Table("figure", Column("value", justify="right"))
    for name, text in list_figures(found):
        shown.add_row(name, text)
    return shown


def command(benchmark: ModuleType) -> Callable[..., None]:
    """The benchmark as a command that takes what `measure` takes."""

    def run(*, as_json: bool, **options: Any) -> None:
        found = benchmark.measure(**options)
        if as_json:
            typer.echo(json.dumps(found))
        else:
            Console(soft_wrap=True).print(build_table(found))
        if found.get("failed"):
            raise typer.Exit(1)

    options = [*inspect.signature(benchmark.measure).parameters.values(), AS_JSON]
    run.__signature__ = inspect.Signature(options)  # type: ignore[attr-defined]
    run.__annotations__ = {option.name: option.annotation for option in options}
    run.__doc__ = benchmark.__doc__
    return run


# Before the definitions are imported: worlds of fixed instants lie in the past.
os.environ.setdefault("PALIMPSEST_FIRST_DAY", "2026-05-01")
for name in NAMES:
    app.command(name)(command(import_module(f"{package}.{name}")))


if __name__ == "__main__":
    app()
