"""The work of the assets, without Dagster: from landed answers to core, marts, export and alerts."""
