"""Checks of core: what is stored agrees with itself, and what the platforms showed is all there. The first blocks what is downstream."""

from collections.abc import Iterator, Sequence
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import Severity
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.storage.derivation import derived_products
from palimpsest_pipeline.storage.ledger import cycle_ledger, cycle_reader
from palimpsest_pipeline.storage.ledger.check_verdicts import Verdict
from palimpsest_pipeline.storage.marts import quality_inputs
from palimpsest_pipeline.storage.odds import current_markets

from ..cycle_checks import cycle_check

MOST_NAMED: Final = 5
BACKFILL: Final = "run `palimpsest backfill` for the hour of the cycle"


@cycle_check(asset=["core", "odds_snapshots"], of=("core", derived_products.ODDS), blocking=True)
def history_equals_current(pipeline: Pipeline, conn: psycopg.Connection, cycle_ids: Sequence[int]) -> Iterator[Verdict]:
    """The markets that a cycle wrote are the same in core.current_markets and core.market_changes. For the first answer of a listing on a day all
    its markets are compared. Listings with a newer answer are left out: the check of the later cycle compares them."""
    for cycle_id in cycle_ids:
        if found := current_markets.check_step(conn, [cycle_id]).violations:
            yield Verdict(
                cycle_id,
                Severity.ERROR,
                found,
                f"{found} markets differ between core.current_markets and core.market_changes. Another program wrote to these tables, or this one has"
                f" a bug: please report it. {BACKFILL.capitalize()} with --again; if the difference stays, delete the rows of these listings from"
                " core.current_markets: their next answer writes them again",
            )


@cycle_check(asset=["core", "odds_snapshots"], of=("core", derived_products.ODDS))
def answers_are_readable(pipeline: Pipeline, conn: psycopg.Connection, cycle_ids: Sequence[int]) -> Iterator[Verdict]:
    """Of each cycle and platform at most PALIMPSEST_MAX_REFUSED_SHARE of the answers were refused."""
    found = cycle_reader.refusals(conn, cycle_ids)
    many = found.filter(pl.col("refused") > pipeline.settings.max_refused_share * pl.col("fetched"))
    for (cycle_id,), rows in many.group_by("cycle_id", maintain_order=True):
        nearly_all = rows.filter(pl.col("fetched") - pl.col("refused") < cycle_ledger.MIN_READ_SHARE * pl.col("fetched"))
        lines = [
            f"{row['platform']}: {row['refusal'] or '{refused} of {fetched} answers were refused'.format(**row)}"
            for row in rows.iter_rows(named=True)
        ]
        mend = (
            "core.rejects has every reason. If a proxy or cache gives wrong answers, mend that and scrape again; if the platform has changed its"
            f" answers, mend its parser and {BACKFILL}"
        )
        severity = Severity.WARN if nearly_all.is_empty() else Severity.ERROR
        yield Verdict(int(cycle_id), severity, rows.height, f"{', '.join(lines)}. {mend}")


@cycle_check(asset=["core", "tournaments"], of=("core", "tournaments"))
def discovery_is_complete(pipeline: Pipeline, conn: psycopg.Connection, cycle_ids: Sequence[int]) -> Iterator[Verdict]:
    """In each full cycle every platform's tree and tournaments were received as a whole: as many listings as declared, every page."""
    for cycle_id in quality_inputs.ended(conn, cycle_ids):
        lacking = quality_inputs.incomplete_discovery(conn, cycle_id)
        if lacking.is_empty():
            continue
        trees, tournaments = lacking.filter(external_id="*"), lacking.filter(lacking["external_id"] != "*")
        said = [
            f"{platform}: {completeness}, {missing}"
            for platform, completeness, missing in trees.select("platform", "completeness", "missing").iter_rows()
        ]
        named = tournaments.select("platform", "external_id", "completeness", "missing").head(MOST_NAMED).iter_rows()
        said += [f"{platform} tournament {external_id}: {completeness}, {missing}" for platform, external_id, completeness, missing in named]
        said += [f"and {tournaments.height - MOST_NAMED} tournaments more"] if tournaments.height > MOST_NAMED else []
        mend = (
            "Nothing in them is concluded absent; the next full cycle looks again. If it stays, see core.discovery_manifest and the failed requests"
            " in ops.scrape_runs.errors_by_class"
        )
        yield Verdict(cycle_id, Severity.WARN, lacking.height, f"{', '.join(said)}. {mend}")
