"""The Dagster definitions of the pipeline: one folder per group of assets, with their checks and jobs.

Every module here imports Dagster. An asset's body shows four steps: window, call, write, result. The functions that it
calls are in `pipeline`, which does not import Dagster.
"""

import warnings

# Dagster's UI offers backfill policies and partitioned checks, but Dagster prints a notice about them at every command.
# The filter matches the notice's text and not its class, because importing Dagster here would slow every command by
# seconds.
warnings.filterwarnings("ignore", message=r"[\s\S]*is currently in (beta|preview)")
