"""The vocabulary of the field as frozen types and enums.

Does no I/O and imports neither Polars nor httpx, so every other package may import it.
"""
