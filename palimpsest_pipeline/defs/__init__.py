"""Dagster, and the composition of the rooms that its assets call. Nothing but `definitions.py` and `cli.py` imports from here.

An asset body is a caption: window, call, write, result. What it calls stands beside it in modules that know no Dagster (`pipeline.py`,
`landing/live.py`, `core/ingest.py`, `mart/derive.py`).
"""
