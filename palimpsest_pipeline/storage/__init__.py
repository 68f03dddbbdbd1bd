"""Postgres storage: tables, migrations, COPY writers, readers, partitions and the embedded server.

This package imports `domain` and no other package of the product.
"""
