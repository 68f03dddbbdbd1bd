"""Escape control characters in foreign text.

Such characters could control a terminal, break a line or reverse the direction of the text.
"""

import re
from typing import Final

# C0 and C1 controls and DEL, line and paragraph separators, direction marks, and lone surrogates, which no encoder
# accepts.
CONTROL_CHARACTERS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def escape_controls(text: str, kept_characters: str = "") -> str:
    r"""Return `text` with control characters escaped as `\uXXXX`, which JSON can also read.

    Characters in `kept_characters` are not escaped.
    """
    return CONTROL_CHARACTERS.sub(
        lambda match: match[0] if match[0] in kept_characters else f"\\u{ord(match[0]):04x}", text
    )
