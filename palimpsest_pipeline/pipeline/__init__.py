"""What the assets call, without Dagster: from landed answers to core, marts, export and alerts."""
