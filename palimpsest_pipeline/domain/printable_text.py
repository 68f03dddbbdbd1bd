"""Showing text from outside: characters that would steer a terminal, break a line or turn its direction appear as
escapes.
"""

import re
from typing import Final

# C0 and C1 controls and DEL, line and paragraph separators, marks of direction, and halves of surrogate pairs, which
# cannot be written at all.
CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def escape_controls(text: str, kept_characters: str = "") -> str:
    """Return `text` with every control character but those of `keep` as `\\uXXXX`, which JSON reads as well."""
    return CONTROL_CHARACTERS.sub(
        lambda found: found[0] if found[0] in kept_characters else f"\\u{ord(found[0]):04x}", text
    )
