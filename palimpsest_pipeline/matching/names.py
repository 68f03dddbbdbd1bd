"""Spelling: one folded form for names written differently. No meaning of names (countries, teams) belongs here."""

import re
import unicodedata

_NOT_WORD = re.compile(r"[^\w]+")


def fold(text: str) -> str:
    """`text` without accents, case, punctuation or doubled spaces: `"St. Étienne "` -> `"st etienne"`."""
    bare = "".join(c for c in unicodedata.normalize("NFKD", text.replace("&", " and ")) if not unicodedata.combining(c))
    return _NOT_WORD.sub(" ", bare.casefold()).strip()
