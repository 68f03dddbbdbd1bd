"""The coverage page: reading its data, rendering it, and writing its file."""

import importlib.metadata
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from palimpsest_pipeline.domain.durable_files import replace_text
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.report.page import PageOrigin, render_page
from palimpsest_pipeline.storage.db.locks import AdvisoryLock, hold_lock, open_snapshot
from palimpsest_pipeline.storage.marts import cycle_marts
from palimpsest_pipeline.storage.marts.page_coverage import read_coverage, read_market_names, read_trends

from .context import Pipeline


class PageNotWrittenError(PalimpsestError):
    """The file cannot be written. The message says where and why."""


@dataclass(frozen=True, slots=True)
class WrittenPage:
    """The path of a written page, and the numbers of its content."""

    path: Path
    cycle_id: int
    as_of: datetime
    n_fixtures: int
    bytes: int
    seconds: float

    def describe(self) -> str:
        """Return a sentence with the path and the numbers."""
        return (
            f"{self.path}: coverage as of {self.as_of:%Y-%m-%d %H:%M} UTC, {self.n_fixtures} fixtures; "
            f"{self.bytes / 1e6:.1f} MB in {self.seconds:.1f} s"
        )


def write_page(pipeline: Pipeline, path: Path | None = None) -> WrittenPage:
    """Write the page with the coverage of the newest cycle to `path`, completely or not at all.

    The default path is PALIMPSEST_HOME_DIR/report/coverage.html. If two processes write, the second one waits and reads
    its data afterwards, so an older page never replaces a newer one. Raises NoCoverageError when no coverage was
    derived yet, PageNotWrittenError when the file cannot be written.
    """
    began = time.monotonic()
    target = path or pipeline.settings.report_path
    with (
        pipeline.database.connect(autocommit=True) as conn,
        hold_lock(conn, AdvisoryLock.COVERAGE_PAGE),
        open_snapshot(conn),
    ):  # all queries read the same state of the database
        coverage = read_coverage(conn, cycle_marts.read_latest_cycle(conn))
        since = coverage.as_of - timedelta(days=pipeline.settings.report_days)
        trends = read_trends(conn, coverage.home_platform, since, coverage.as_of)
        market_names = read_market_names(conn, pipeline.main_markets)
        origin = PageOrigin(
            pipeline.clock.now(),
            importlib.metadata.version("palimpsest-pipeline"),
            pipeline.parser_version,
            pipeline.vocabulary.version,
        )
        text = render_page(origin, coverage, trends, market_names)
        try:
            replace_text(target, text)
        except OSError as error:
            raise PageNotWrittenError(
                f"cannot write the page to {error.filename or target}: {error.strerror}"
            ) from error
    return WrittenPage(
        target,
        coverage.cycle_id,
        coverage.as_of,
        n_fixtures=coverage.fixtures.height,
        bytes=len(text.encode()),
        seconds=round(time.monotonic() - began, 3),
    )
