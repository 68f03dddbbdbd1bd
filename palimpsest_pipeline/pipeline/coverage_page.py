"""The coverage page: reading its data, rendering it, and writing its file."""

import importlib.metadata
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final
from uuid import uuid4

import polars as pl
import psycopg

from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.report.page import PageOrigin, render_page
from palimpsest_pipeline.report.price_lines import MAX_PRICE_BYTES, PriceHistories, append_current
from palimpsest_pipeline.report.statements import list_offers
from palimpsest_pipeline.storage.db.locks import AdvisoryLock, hold_lock, open_snapshot
from palimpsest_pipeline.storage.marts import mart_reader, page_prices
from palimpsest_pipeline.storage.marts.page_coverage import Coverage, read_coverage
from palimpsest_pipeline.storage.marts.page_trends import read_trends

from .context import Pipeline

FIXTURES_PER_BATCH: Final = 300
"""Number of fixtures whose prices are read and encoded in one step."""


class PageNotWrittenError(PalimpsestError):
    """The file cannot be written. The message says where and why."""


@dataclass(frozen=True, slots=True)
class WrittenPage:
    """The path of a written page, and the numbers of its content."""

    path: Path
    cycle_id: int
    as_of: datetime
    n_fixtures: int
    n_priced: int
    """Number of fixtures whose prices are in the page."""
    n_left_out: int
    """Number of price histories left out for lack of room. A fixture counts once for each market."""
    bytes: int
    seconds: float

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    def describe(self) -> str:
        """Return a sentence with the path and the numbers."""
        room = f"; no room for {self.n_left_out} further histories of a fixture and market" if self.n_left_out else ""
        return (
            f"{self.path}: coverage as of {self.as_of:%Y-%m-%d %H:%M} UTC, {self.n_fixtures} fixtures, prices of"
            f" {self.n_priced}{room}; {self.bytes / 1e6:.1f} MB in {self.seconds:.1f} s"
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
        coverage = read_coverage(conn, mart_reader.read_latest_cycle(conn))
        since = coverage.as_of - timedelta(days=pipeline.settings.report_days)
        trends = read_trends(conn, coverage.home_platform, since, coverage.as_of)
        names = page_prices.read_market_names(conn, pipeline.main_markets)
        histories = _read_histories(conn, coverage, names, since)
        origin = PageOrigin(
            pipeline.clock.now(),
            importlib.metadata.version("palimpsest-pipeline"),
            pipeline.parser_version,
            pipeline.vocabulary.version,
        )
        text = render_page(origin, coverage, trends, histories, names)
        with replace_file(target) as file:
            file.write(text)
    return WrittenPage(
        target,
        coverage.cycle_id,
        coverage.as_of,
        n_fixtures=coverage.fixtures.height,
        n_priced=len({sr_id for sr_ids in histories.index.values() for sr_id in sr_ids}),
        n_left_out=sum(histories.left_out_counts.values()),
        bytes=len(text.encode()),
        seconds=round(time.monotonic() - began, 3),
    )


def _read_histories(
    conn: psycopg.Connection, coverage: Coverage, names: pl.DataFrame, since: datetime
) -> PriceHistories:
    """Return prices of upcoming fixtures until the page is full, ordered by market, then by kickoff."""
    histories = PriceHistories(MAX_PRICE_BYTES, since, [platform.key for platform in list_offers(coverage)])
    upcoming = coverage.fixtures.filter(~pl.col("started")).sort("effective_kickoff", "sr_id")["sr_id"].to_list()
    for (market,), outcomes in names.group_by("market_key", maintain_order=True):
        for sr_ids in (upcoming[n : n + FIXTURES_PER_BATCH] for n in range(0, len(upcoming), FIXTURES_PER_BATCH)):
            if histories.is_full:
                histories.record_left_out(str(market), len(sr_ids))
            else:
                stretches, states = (
                    read(conn, str(market), sr_ids, since)
                    for read in (page_prices.read_stretches, page_prices.read_states)
                )
                current = page_prices.read_current_prices(conn, str(market), sr_ids)
                histories.add(
                    str(market), *append_current(stretches, states, current), outcomes["outcome_key"].to_list()
                )
    return histories


@contextmanager
def replace_file(path: Path) -> Iterator[IO[str]]:
    """Yield a file that replaces `path` when the block ends without an error.

    After an error `path` is unchanged. Raises PageNotWrittenError.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
        with unfinished.open("x", encoding="utf-8") as file:
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                unfinished.replace(path)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise PageNotWrittenError(f"cannot write the page to {error.filename or path}: {error.strerror}") from error
