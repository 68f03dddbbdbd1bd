"""Runs one benchmark by its name, which is its module's. Each has its own options: the parameters of its `measure`."""

import inspect
import json
import os
from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Annotated, Any

import typer
from rich.console import Console

from . import __package__ as package
from . import __path__ as here

NAMES = sorted(module.name for module in iter_modules(here) if not module.name.startswith(("_", "test_")))
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


def command(benchmark: ModuleType) -> Callable[..., None]:
    """The benchmark as a command: what `measure` takes, and how to show what it found."""

    def run(*, as_json: bool, **options: Any) -> None:
        found = benchmark.measure(**options)
        if as_json:
            typer.echo(json.dumps(found))
        else:
            Console(soft_wrap=True).print(benchmark.table(found))
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
