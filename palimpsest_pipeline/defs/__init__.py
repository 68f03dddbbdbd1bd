"""Dagster, and the composition of the rooms that its assets call. Nothing but `definitions.py` and the command line imports from here.

An asset body is a caption: window, call, write, result. What it calls stands beside it in modules that know no Dagster (`context.py`,
`pipeline/live/live_cycle.py`, `pipeline/ingest/write_core.py`, `pipeline/marts/derive_marts.py`).
"""

import warnings

# Backfill policies and partitioned checks are what the UI itself offers; their notices would greet a user at every command. By message, as
# importing Dagster here would cost every command seconds.
warnings.filterwarnings("ignore", message=r"[\s\S]*is currently in (beta|preview)")
