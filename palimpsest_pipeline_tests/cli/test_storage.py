"""The commands about what is kept, as a user meets them."""

import pytest
from typer.testing import CliRunner

from palimpsest_pipeline.cli.__main__ import app


@pytest.mark.parametrize(
    ("words", "says"), [(("yesterday",), "2026-06-26"), (("2026-06-26", "2026-06-25"), "TO is before FROM")]
)
def test_a_word_that_is_no_day_is_wrong_usage(words: tuple[str, ...], says: str) -> None:
    done = CliRunner().invoke(app, ["export", *words])
    assert done.exit_code == 2
    assert says in done.stderr


def test_an_export_is_forced_day_by_day() -> None:
    done = CliRunner().invoke(app, ["export", "--force"])
    assert done.exit_code == 2
    assert "--force needs the days" in done.stderr
