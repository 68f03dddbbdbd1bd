"""The canonical market vocabulary, as data, and the way from a platform's prices to canonical prices.

Belongs here: what a market, a line and an outcome are called, and the join that says so for every price. Does not
belong here: reading answers (platforms), storing prices (storage), what prices are worth (metrics).
"""

from .build_market_rows import build_market_rows
from .normaliser import NormalisedBatch, normalise
from .platform_books import RawBooks, collect_raw_books
from .vocabulary import Vocabulary, VocabularyError, load_vocabulary, read_vocabulary

__all__ = [
    "NormalisedBatch",
    "RawBooks",
    "Vocabulary",
    "VocabularyError",
    "build_market_rows",
    "collect_raw_books",
    "load_vocabulary",
    "normalise",
    "read_vocabulary",
]
