"""The operations around the pipeline: `up` and `down`, backfill, export, doctor, demo."""
