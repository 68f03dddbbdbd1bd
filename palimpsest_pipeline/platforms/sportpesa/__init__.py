"""The dialect of SportPesa: the API behind the Kenyan site, which an anti-bot edge guards."""

from .adapter import SportpesaAdapter

__all__ = ["SportpesaAdapter"]
