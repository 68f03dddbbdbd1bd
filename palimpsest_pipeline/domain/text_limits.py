"""The limit on the length of text from outside that is part of a database key.

Belongs here: the limit and the cut. Does not: what a text means.
"""

from hashlib import blake2b
from typing import Final

MAX_KEY_CHARS: Final = 200
"""Postgres refuses an index entry of more than 2,704 bytes, and with it the whole cycle.

Three keys of this length fit; the longest seen has 60.
"""


def cut_key(text: str) -> str:
    """Return `text`, or, if it is too long, its first `MAX_KEY_CHARS` characters and a hash of it all.

    Different texts stay different.
    """
    if len(text) <= MAX_KEY_CHARS:
        return text
    return f"{text[:MAX_KEY_CHARS]}… #{blake2b(text.encode(), digest_size=8).hexdigest()}"
