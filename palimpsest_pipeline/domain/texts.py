"""How long texts from outside may be where they name something: keys of the database, and what is shown of them.

Belongs here: the limit and the cut. Does not: what a text means.
"""

from hashlib import blake2b
from typing import Final

MAX_KEY_CHARS: Final = 200
"""Postgres refuses an index entry of more than 2,704 bytes, and with it the whole cycle. Three keys of this length fit; the longest seen has 60."""


def cut_key(text: str) -> str:
    """`text`, or its first `MAX_KEY_CHARS` characters and a hash of all of it: what differs stays different."""
    if len(text) <= MAX_KEY_CHARS:
        return text
    return f"{text[:MAX_KEY_CHARS]}… #{blake2b(text.encode(), digest_size=8).hexdigest()}"
