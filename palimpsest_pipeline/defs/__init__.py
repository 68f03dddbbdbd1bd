"""Dagster and nothing else: every module here imports it. One folder per group of assets, with their checks and jobs.

An asset's body is a caption: window, call, write, result. What it calls is in `pipeline`, which knows no Dagster.
"""

import warnings

# Backfill policies and partitioned checks are what the UI itself offers; their notices would greet a user at every
# command. By message, as importing Dagster here would cost every command seconds.
warnings.filterwarnings("ignore", message=r"[\s\S]*is currently in (beta|preview)")
