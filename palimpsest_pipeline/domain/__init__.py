"""The basic types of the product: frozen dataclasses and enums.

The package does no I/O and imports neither Polars nor httpx (except `schemas`, which imports Polars), so every other
package may import it.
"""
