"""Spelling: one folded form for names written differently. No meaning of names (countries, teams) belongs here."""

import re
import unicodedata

_NON_WORD_PATTERN = re.compile(r"[^\w]+")
_STROKED_LETTERS = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
"""Letters that Unicode does not take apart into a letter and an accent."""


def fold_name(text: str) -> str:
    """`text` without accents, case, punctuation or doubled spaces: `"St. Étienne "` -> `"st etienne"`."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.replace("&", " and ")) if not unicodedata.combining(c))
    return _NON_WORD_PATTERN.sub(" ", bare.casefold().translate(_STROKED_LETTERS)).strip()
