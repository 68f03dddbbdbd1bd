"""Postgres storage: table definitions, migrations, bulk writers, readers and partitions.

The package also contains the archive (Parquet export). Of the product's packages it imports only `domain`.
"""
