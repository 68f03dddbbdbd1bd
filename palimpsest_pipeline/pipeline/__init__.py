"""The work of the Dagster assets as plain functions: landed answers to core, marts, export and alerts."""
