"""Replace the words of names in recorded answers by invented words.

A name keeps all that its readers look at: the number and the length of its words, its first letters, capitals,
diacritics and punctuation, and words that say what kind of team it is (FC, U21, SRL, Women). A word has the same
replacement wherever it occurs, and words that begin or end alike have replacements that do.
"""

import hmac
import itertools
import re
import unicodedata
from collections.abc import Iterable
from typing import Final

from palimpsest_pipeline.matching.countries import find_country_iso
from palimpsest_pipeline.matching.name_folding import fold_name

WORD: Final = re.compile(r"[^\W\d_]+")
VOWELS: Final = "aeiou"
SPOKEN_VOWELS: Final = f"{VOWELS}y"
CONSONANTS: Final = "bdfgklmnprstvz"
SECOND_CONSONANTS: Final = "lnrst"
"""Those that can be spoken after another one."""
MIN_LETTERS: Final = 3
"""Shorter words stay: initials, particles (`de`, `Al`) and marks (`II`, `FC`, `W`)."""

TEAM_MARKS: Final = "srl esports esoccer reserve reserves women femmes youth boys"
CLUB_WORDS: Final = (
    "club united utd city town towns athletic sport sports fotball calcio university state stars corporation"
)
PARTICLES: Final = "van von der den del dos das los las"
ORDINARY_WORDS: Final = (
    "home away draw bet more start three real goal goalscorer own pro total games last min long coast"
)
"""Words that markets, outcomes and countries use too."""
KEPT_WORDS: Final = frozenset(" ".join((TEAM_MARKS, CLUB_WORDS, PARTICLES, ORDINARY_WORDS)).split())
"""Words of names that stay as they are."""


def list_words(text: str) -> list[str]:
    """Return the words of `text` in folded form: without case and accents."""
    return [fold_name(word) for word in WORD.findall(text)]


def is_replaceable(word: str) -> bool:
    """Return whether a folded word of a name is replaced: not a short word, a kept one or a country."""
    return len(word) >= MIN_LETTERS and word not in KEPT_WORDS and (len(word) < 4 or find_country_iso(word) is None)


class InventedNames:
    """The replacements of the words of given names."""

    def __init__(self, names: Iterable[str], key: bytes) -> None:
        """Invent a word for each word of `names`. The same names and key give the same words."""
        named = {name for name in names if find_country_iso(name) is None}
        self.words: Final = frozenset(word for name in named for word in list_words(name) if is_replaceable(word))
        """The folded words that are replaced."""
        self._key = key
        self._invented: dict[str, str] = {}
        taken = set(self.words | KEPT_WORDS)
        for word in sorted(self.words):
            self._invented[word] = next(new for n in itertools.count() if (new := self._invent(word, n)) not in taken)
            taken.add(self._invented[word])

    def replace(self, text: str, *, any_case: bool = False) -> str:
        """Return `text` with the words of names replaced.

        A word in lower case is an ordinary word, unless it follows an apostrophe or `any_case` is set.
        """

        def replace_word(match: re.Match[str]) -> str:
            word = match[0]
            is_name = any_case or word[0].isupper() or text[: match.start()].endswith(("'", "’"))
            invented = self._invented.get(fold_name(word)) if is_name else None
            return word if invented is None else _write_alike(word, invented)

        return WORD.sub(replace_word, text)

    def _invent(self, word: str, attempt: int) -> str:
        """Return an invented word: each letter follows from the letter of `word` in its place and the one before it."""
        salt = f"{word}{attempt}" if attempt else ""
        letters = [word[0]]
        for before, letter in itertools.pairwise(word):
            after_vowel = CONSONANTS if before in SPOKEN_VOWELS else SECOND_CONSONANTS
            alphabet = VOWELS if letter in SPOKEN_VOWELS else after_vowel
            digest = hmac.digest(self._key, f"{before}{letter}{salt}".encode(), "sha256")
            letters.append(alphabet[int.from_bytes(digest[:8]) % len(alphabet)])
        return "".join(letters)


def _write_alike(word: str, invented: str) -> str:
    """Return the invented word with the capitals and diacritics of `word`."""
    given = unicodedata.normalize("NFC", word)
    if len(fold_name(given)) != len(given):  # a letter that folds to two: capitals are those of the first letters
        return invented.upper() if given.isupper() else invented.capitalize() if given[0].isupper() else invented
    written = []
    for letter, new in zip(given, invented, strict=True):
        marks = "".join(c for c in unicodedata.normalize("NFD", letter) if unicodedata.combining(c))
        accented = unicodedata.normalize("NFC", new + marks)
        cased = accented.upper() if letter.isupper() else accented
        is_stroked = not marks and not letter.isascii()
        written.append(letter if is_stroked else cased)
    return "".join(written)
