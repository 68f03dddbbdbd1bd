"""Runs one benchmark by its name, which is its module's."""

import json
from enum import StrEnum
from importlib import import_module
from pkgutil import iter_modules
from typing import Annotated

import typer
from rich.console import Console

from . import __package__ as package
from . import __path__ as here

app = typer.Typer(add_completion=False)
Name = StrEnum("Name", sorted(module.name for module in iter_modules(here) if not module.name.startswith(("_", "test_"))))


@app.command()
def main(
    name: Annotated[Name | None, typer.Argument(help="Benchmark to run; without it the names are listed.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object in place of a table.")] = False,
    bodies: Annotated[int, typer.Option(min=3, help="Number of answers in the batch.")] = 300,
    repetitions: Annotated[int, typer.Option(min=1, help="Repetitions, of which the least cost counts.")] = 5,
    seed: Annotated[int, typer.Option(help="Chooses the perturbation of the captured answers.")] = 1,
) -> None:
    """Measures one part of the pipeline on this machine."""
    if name is None:
        typer.echo("\n".join(Name))
        return
    benchmark = import_module(f"{package}.{name}")
    try:
        found = benchmark.measure(bodies, repetitions, seed)
    except FileNotFoundError as missing:
        typer.echo(missing, err=True)
        raise typer.Exit(1) from missing
    if as_json:
        typer.echo(json.dumps(found))
    else:
        Console().print(benchmark.table(found))


if __name__ == "__main__":
    app()
