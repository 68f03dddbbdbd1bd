"""Dagster, and the composition of the rooms that its assets call. Nothing but `definitions.py` and `cli.py` imports from here.

An asset body is a caption: window, call, write, result. What it calls stands beside it in modules that know no Dagster (`pipeline.py`,
`landing/live.py`, `core/ingest.py`, `mart/derive.py`).
"""

import warnings

import dagster as dg

# Backfill policies and partitioned checks are what the UI itself offers; their notices would greet a user at every command.
warnings.filterwarnings("ignore", category=dg.BetaWarning)
warnings.filterwarnings("ignore", category=dg.PreviewWarning)
