"""The `palimpsest` commands about what runs when: `slots`.

Exit codes as in `cli.py`.
"""

import json
from datetime import datetime, timedelta
from typing import Annotated

import typer

from .console import Json, out, print_table
from .settings import load_settings

orchestration_app = typer.Typer()


@orchestration_app.command()
def slots(
    hours: Annotated[float, typer.Option(min=0.1, max=24 * 30, help="How far to look back, hours.")] = 24,
    as_json: Json = False,
) -> None:
    """List the slots of the kickoff cadence at which a fixture was due and not asked, by fixture and stretch.

    Due is what the settings of now ask for, by the kickoffs as they were known at the time. Nothing is due before the cadence was first on.
    """
    from .defs.servers import databases, require_schema
    from .defs.slots import kept

    with databases(load_settings()) as pipeline:
        require_schema(pipeline)
        now = pipeline.clock.now()
        found = kept(pipeline, now - timedelta(hours=hours), now)
    stretches = found.stretches
    if as_json:
        told = {"begin": found.begin, "end": found.end, "in_use": found.in_use, "slots_due": found.found.height, "slots_lost": found.lost.height}
        out.print_json(json.dumps({**told, "lost": stretches.to_dicts()}, default=datetime.isoformat))
        return
    span = f"from {found.begin:%Y-%m-%d %H:%M} to {found.end:%Y-%m-%d %H:%M} UTC"
    if not found.found.height:
        known = "no fixture was due" if found.in_use else "the kickoff cadence was not on, or no fixture was due"
        out.print(f"{known} {span}", highlight=False)
    elif stretches.is_empty():
        out.print(f"all {found.found.height} slots {span} were kept", highlight=False)
    else:
        columns = [("SR_ID", True), ("from", False), ("to", False), ("slots", True), ("kickoff", False)]
        print_table(f"{found.lost.height} of {found.found.height} slots {span} were lost", columns, stretches.iter_rows())
        out.print(found.sentence(), highlight=False, soft_wrap=True)
