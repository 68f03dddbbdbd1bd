"""What a command shows on its terminal of what is logged while it works."""

import logging
from collections.abc import Iterator

import pytest

from palimpsest_pipeline.console import log_to_terminal


@pytest.fixture
def handlers_as_before() -> Iterator[None]:
    before = list(logging.getLogger().handlers)
    yield
    logging.getLogger().handlers[:] = before


@pytest.mark.usefixtures("handlers_as_before")
def test_warnings_of_this_product_are_one_line_each_and_libraries_are_silent(capsys: pytest.CaptureFixture[str]) -> None:
    log_to_terminal()
    try:
        raise ValueError("a cause")
    except ValueError:
        logging.getLogger("palimpsest_pipeline.defs.landing.stage").exception("cycle %d: not written\n  down [for now]", 7)
    logging.warning("Retrying failed database connection")
    logging.getLogger("dagster._core.execution.plan.active").warning("Blocking asset check 'x' emitted no result")
    logging.getLogger("palimpsest_pipeline.wire").info("an answer")
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "warning: cycle 7: not written down [for now]\n")
