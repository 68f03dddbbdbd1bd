"""The canonical market vocabulary, as data, and the way from a platform's prices to canonical prices.

Belongs here: what a market, a line and an outcome are called, and the join that says so for every price. Does not belong here: reading answers
(platforms), storing prices (storage), what prices are worth (metrics).
"""

from .build_market_rows import market_rows
from .normaliser import Normalised, normalise
from .platform_books import RawBooks, raw_books
from .vocabulary import Vocabulary, VocabularyError, load, vocabulary

__all__ = ["Normalised", "RawBooks", "Vocabulary", "VocabularyError", "load", "market_rows", "normalise", "raw_books", "vocabulary"]
