"""Limit the length of foreign text that is part of a database key."""

from hashlib import blake2b
from typing import Final

MAX_KEY_CHARS: Final = 200
"""Maximum length of a text in a key, in characters.

Postgres refuses index entries of more than 2,704 bytes, which would fail the whole cycle. Three texts of this length
fit into one entry. The longest text seen so far has 60 characters.
"""


def cut_key(text: str) -> str:
    """Return `text`, or, if it is too long, its first `MAX_KEY_CHARS` characters and a hash of all of it.

    Different texts stay different.
    """
    if len(text) <= MAX_KEY_CHARS:
        return text
    return f"{text[:MAX_KEY_CHARS]}… #{blake2b(text.encode(), digest_size=8).hexdigest()}"
