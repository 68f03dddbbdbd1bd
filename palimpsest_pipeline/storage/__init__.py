"""What the pipeline stores in Postgres, and the days of history that it exports to Parquet.

This package imports `domain` and `tables`, and no other package of the product.
"""
