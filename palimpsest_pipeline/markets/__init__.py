"""The vocabulary of markets, as data, and the mapping of the platforms' prices to it.

"Canonical" means: named by the vocabulary.
"""

from .key_sets import KeySource
from .normaliser import NormalisedBatch, build_market_rows, normalise
from .platform_books import RawBooks
from .vocabulary import Vocabulary, assign_to_platforms, load_vocabulary, read_vocabulary
from .vocabulary_files import VocabularyError

__all__ = [
    "KeySource",
    "NormalisedBatch",
    "RawBooks",
    "Vocabulary",
    "VocabularyError",
    "assign_to_platforms",
    "build_market_rows",
    "load_vocabulary",
    "normalise",
    "read_vocabulary",
]
