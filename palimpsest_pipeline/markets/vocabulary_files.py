"""The vocabulary's CSV files as rows with file and line, and the error that names both."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from palimpsest_pipeline.domain.errors import PalimpsestError

SMALLINT_MAX: Final = 32767


class VocabularyError(PalimpsestError):
    """A vocabulary file is invalid; the message begins with file:line."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a file: the file's name, the line's number, and the values by column."""

    file: str
    line: int
    values: Mapping[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values[column]

    def require(self, is_valid: bool, message: str) -> None:
        """Raise VocabularyError with the row's file and line when `is_valid` is False."""
        if not is_valid:
            raise VocabularyError(f"{self.file}:{self.line}: {message}")

    def parse_number(self, column: str) -> int:
        """Return a number from 1 to `SMALLINT_MAX`."""
        text = self.values[column]
        self.require(
            text.isdecimal() and 0 < int(text) <= SMALLINT_MAX, f"{text!r} is not a number from 1 to {SMALLINT_MAX}"
        )
        return int(text)


def read_vocabulary_rows(path: Path, columns: tuple[str, ...], file: str) -> list[Row]:
    """Return the rows of a CSV file, after checks of header and row lengths.

    `file` is its name in messages. Raises VocabularyError.
    """
    rows = []
    reader = csv.reader(io.StringIO(read_vocabulary_text(path, file), newline=""))
    try:
        if tuple(next(reader, [])) != columns:
            raise VocabularyError(f"{file}:1: columns must be {','.join(columns)}")
        for values in reader:
            if len(values) != len(columns):
                raise VocabularyError(f"{file}:{reader.line_num}: {len(values)} values for {len(columns)} columns")
            rows.append(Row(file, reader.line_num, dict(zip(columns, values, strict=True))))
    except csv.Error as error:
        raise VocabularyError(f"{file}:{reader.line_num}: {error}") from error
    return rows


def read_vocabulary_text(path: Path, file: str) -> str:
    """Return the text of a file. Raises VocabularyError when it cannot be read, or is not UTF-8."""
    try:
        content = path.read_bytes()
        return content.decode("utf-8")
    except OSError as error:
        raise VocabularyError(f"{file}:1: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise VocabularyError(f"{file}:{line}: this is not UTF-8: save the file as UTF-8") from error
