"""What a person runs around the pipeline: `up` and `down`, backfill, export, doctor, demo."""
