"""The line numbers of a TOML file: the line that sets a key, and the line at which the parser stopped."""

import re
import tomllib
from collections.abc import Sequence
from typing import Final

_LINE_PATTERN: Final = re.compile(r"line (\d+)")
_TABLE_PATTERN: Final = re.compile(r"\s*\[+([^\[\]]+)\]+\s*(#.*)?$")
_KEY_PATTERN: Final = re.compile(r"\s*([\w\-\"'. ]+?)\s*=")


class KeyLines:
    """The lines of a TOML file by the keys that they set."""

    def __init__(self, text: str) -> None:
        self._lines: list[tuple[tuple[str, ...], int]] = []
        table: tuple[str, ...] = ()
        for number, line in enumerate(text.splitlines(), start=1):
            if header := _TABLE_PATTERN.match(line):
                table = _split_key(header[1])
                self._lines.append((table, number))
            elif key := _KEY_PATTERN.match(line):
                self._lines.append(((*table, *_split_key(key[1])), number))

    def find(self, keys: Sequence[str]) -> int:
        """Return the line that sets `keys`, which lead from the top of the file, or their longest prefix.

        When there is none, return the first line that sets something below these keys, otherwise the first line.
        """
        places = [(len(path), -number) for path, number in self._lines if path == tuple(keys[: len(path)])]
        if places:
            return -max(places)[1]
        return next((number for path, number in self._lines if keys and path[: len(keys)] == tuple(keys)), 1)


def _split_key(text: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


def find_fault_line(text: str, error: tomllib.TOMLDecodeError) -> int:
    """Return the line of a text that is not TOML; the last line when the parser names none."""
    line = _LINE_PATTERN.search(str(error))
    return int(line[1]) if line else len(text.splitlines())
