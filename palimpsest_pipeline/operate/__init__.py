"""Operation of the pipeline: `up` and `down`, backfill, export, `doctor`, the demo."""
