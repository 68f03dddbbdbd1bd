"""The words of the field as frozen types and enums.

No I/O, no polars, no httpx; every other room may import this one.
"""
