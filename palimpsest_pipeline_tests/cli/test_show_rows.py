"""Results as CSV and Excel files, and what a spreadsheet makes of them."""

from collections.abc import Callable
from csv import DictReader
from datetime import UTC, datetime
from pathlib import Path
from xml.sax.saxutils import escape
from zipfile import ZipFile

import polars as pl
import pytest
import typer

from palimpsest_pipeline.cli import show_rows
from palimpsest_pipeline.cli.show_rows import show, write_files
from palimpsest_pipeline.report.spreadsheets import Rows

ROWS = pl.DataFrame(
    {
        "team": ["=cmd()", "@sum", "-1.5", "+x", 'Żółć, "FC"', None],
        "platforms": [["betpawa", "bet9ja"], [], None, ["betpawa"], ["betpawa"], ["betpawa"]],
        "at": [datetime(2026, 5, 1, 12, 30, tzinfo=UTC)] * 6,
        "odds": [1.5, None, 2.25, 3.0, 4.0, 5.0],
    },
    schema_overrides={"at": pl.Datetime("us", "UTC")},
)


def test_a_csv_file_has_every_value_and_nothing_that_a_spreadsheet_executes(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    write_files({"rows": ROWS}, path, None)
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    found = pl.read_csv(path)
    assert found["team"].to_list() == ["'=cmd()", "'@sum", "-1.5", "'+x", 'Żółć, "FC"', None]
    assert found["platforms"].to_list()[0] == "betpawa, bet9ja"
    assert found["odds"].to_list() == ROWS["odds"].to_list()
    assert datetime.fromisoformat(found["at"][0]) == ROWS["at"][0]


EXECUTED = [
    "-2+3+cmd|' /C calc'!A0",
    "+1+1",
    "-1-1",
    "+.5+1",
    "-",
    "=1+1",
    "@sum(1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "+1\n=1",
    "{=1+1}",
]
NUMBERS = ["-1.5", "+2", "-10", "1.5"]
HOSTILE = pl.DataFrame(
    {"text": [*EXECUTED, *NUMBERS], "texts": [["-1+1"]] * 16, "kind": pl.Series(["+1+1"] * 16, dtype=pl.Categorical)}
)


@pytest.mark.parametrize(
    "write",
    [lambda frame, path: write_files({"rows": frame}, path, None), lambda frame, path: Rows(frame).write_csv(path)],
)
def test_text_with_a_sign_is_quoted_in_a_csv_file_unless_all_of_it_is_a_number(
    tmp_path: Path, write: Callable[[pl.DataFrame, Path], object]
) -> None:
    write(HOSTILE, tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(encoding="utf-8-sig", newline="") as file:
        found = list(DictReader(file))
    harmless = ["{=1+1}", *NUMBERS]  # a brace begins no formula in a CSV file
    assert [row["text"] for row in found] == [text if text in harmless else f"'{text}" for text in HOSTILE["text"]]
    assert {(row["texts"], row["kind"]) for row in found} == {("'-1+1", "'+1+1")}


@pytest.mark.parametrize(
    "write",
    [lambda frame, path: write_files({"rows": frame}, None, path), lambda frame, path: Rows(frame).write_excel(path)],
)
def test_text_is_text_in_an_excel_file_whatever_it_looks_like(
    tmp_path: Path, write: Callable[[pl.DataFrame, Path], object]
) -> None:
    write(HOSTILE, tmp_path / "rows.xlsx")
    with ZipFile(tmp_path / "rows.xlsx") as file:
        texts, sheet = (file.read(f"xl/{name}.xml").decode() for name in ("sharedStrings", "worksheets/sheet1"))
    assert "<f>" not in sheet
    assert all(escape(text) in texts for text in EXECUTED if text.isprintable())


def test_an_excel_file_has_a_sheet_a_table_and_text_is_no_formula(tmp_path: Path) -> None:
    path = tmp_path / "rows.xlsx"
    write_files({"rows": ROWS, "few": ROWS.head(1)}, None, path)
    with ZipFile(path) as file:
        book, texts, sheet = (
            file.read(f"xl/{name}.xml").decode() for name in ("workbook", "sharedStrings", "worksheets/sheet1")
        )
    assert 'name="rows"' in book
    assert 'name="few"' in book
    assert "=cmd()" in texts
    assert "at (UTC)" in texts
    assert "<f>" not in sheet


def test_nothing_is_written_unasked_and_an_empty_table_is_written_with_its_headings(tmp_path: Path) -> None:
    write_files({"rows": ROWS}, None, None)
    assert not list(tmp_path.iterdir())
    write_files({"rows": ROWS.clear()}, tmp_path / "none.csv", tmp_path / "none.xlsx")
    assert pl.read_csv(tmp_path / "none.csv").columns == ROWS.columns


@pytest.mark.parametrize(("as_json", "to_file"), [(False, False), (True, False), (False, True), (True, True)])
def test_text_is_printed_unless_json_or_a_file_is_chosen(
    as_json: bool, to_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[object] = []
    monkeypatch.setattr(show_rows, "print_json", printed.append)
    csv = tmp_path / "rows.csv" if to_file else None
    show({"rows": ROWS}, lambda: printed.append("text"), as_json=as_json, report={"n": 6}, csv=csv)
    assert printed == ([{"n": 6}] if as_json else [] if to_file else ["text"])
    assert (tmp_path / "rows.csv").exists() == to_file


def test_a_file_that_cannot_be_written_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for csv, xlsx in ((tmp_path / "no" / "rows.csv", None), (None, tmp_path / "no" / "rows.xlsx")):
        with pytest.raises(typer.Exit):
            write_files({"rows": ROWS}, csv, xlsx)
