"""What the pipeline stores in Postgres, and the days of history that it exports to Parquet.

Belongs here: the schema, bulk copies, writers, readers, partitions, the archive. Does not belong here: the embedded
server (`runtime.embedded_postgres`), the landing (`landing`), any computation (`metrics`), the declarations of tables
(`tables`). This package imports `domain` and `tables`, and no other package of the product.
"""
