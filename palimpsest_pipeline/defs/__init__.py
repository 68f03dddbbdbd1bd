"""The Dagster definitions of the pipeline: one folder per group of assets, with their checks and jobs.

Every module here imports Dagster. An asset's body shows four steps: window, call, write, result. The functions that it
calls are in `pipeline`, which does not import Dagster.
"""

import warnings

# Backfill policies and partitioned checks are offered by the UI itself, but Dagster prints a notice about them at every
# command. The filter matches the message and not the class: importing Dagster here would cost every command seconds.
warnings.filterwarnings("ignore", message=r"[\s\S]*is currently in (beta|preview)")
