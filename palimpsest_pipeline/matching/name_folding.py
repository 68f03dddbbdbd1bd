"""The folded form of names: a text that is the same for different spellings."""

import re
import unicodedata

_NON_WORD_PATTERN = re.compile(r"[^\w]+")
_STROKED_LETTERS = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
"""Letters that Unicode does not decompose into a base letter and an accent."""


def fold_name(text: str) -> str:
    """Return `text` without accents, case, punctuation and doubled spaces.

    Example: `"St. Étienne "` -> `"st etienne"`.
    """
    unaccented = "".join(
        c for c in unicodedata.normalize("NFKD", text.replace("&", " and ")) if not unicodedata.combining(c)
    )
    return _NON_WORD_PATTERN.sub(" ", unaccented.casefold().translate(_STROKED_LETTERS)).strip()
