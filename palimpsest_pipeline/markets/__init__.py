"""The vocabulary of markets, as data, and the mapping of the platforms' prices to it.

"Canonical" means: named by the vocabulary. Belongs here: the names of markets, lines and outcomes, and the joins that
assign them to every price. Does not belong here: reading answers (platforms), storing prices (storage), computing
margins and alerts (metrics).
"""

from .normaliser import NormalisedBatch, build_market_rows, normalise
from .platform_books import RawBooks
from .vocabulary import Vocabulary, VocabularyError, load_vocabulary, read_vocabulary

__all__ = [
    "NormalisedBatch",
    "RawBooks",
    "Vocabulary",
    "VocabularyError",
    "build_market_rows",
    "load_vocabulary",
    "normalise",
    "read_vocabulary",
]
