"""The asset of the coverage page, which people can read without querying Postgres."""
