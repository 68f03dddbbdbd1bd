"""Checks of core: what is stored agrees with itself, and what the platforms showed is all there. The first blocks what is downstream."""

from typing import Final

import dagster as dg
import polars as pl

from ...domain.instants import parse_hour_key
from ...storage import current, ledger, ledger_readers, quality
from ..partition_checks import partition_check
from ..partitions import hours
from ..pipeline import Pipeline

MOST_NAMED: Final = 5


@partition_check(asset=["core", "odds_snapshots"], blocking=True, partitions_def=hours)
def history_equals_current(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """What the hour's cycles wrote stands in core.current_markets as the history says it, and the reverse; the first answer of a listing's day
    compares all its markets. Listings that were answered again since are a later hour's matter."""
    cycle_ids = [m.cycle_id for m in pipeline.landing.cycles(hour=parse_hour_key(key))]
    with pipeline.connect() as conn:
        found = current.check_step(conn, cycle_ids)
    return dg.AssetCheckResult(
        passed=not found.violations,
        severity=dg.AssetCheckSeverity.ERROR,
        description=None
        if not found.violations
        else f"{found.violations} markets differ between core.current_markets and core.market_changes. Somebody else wrote to them, or the writer is"
        f" wrong: please report it. Run `palimpsest backfill {key} {key} --again`; should it stay, delete the rows of the listings concerned from"
        " core.current_markets: their next answer brings them back.",
        metadata={"violations": found.violations, "listings": found.n_listings, "markets": found.n_markets},
    )


@partition_check(asset=["core", "odds_snapshots"], partitions_def=hours)
def answers_are_readable(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """Of each cycle of the hour and each platform at most PALIMPSEST_MAX_REFUSED_SHARE of the answers were refused."""
    with pipeline.connect() as conn:
        found = ledger_readers.refusals(conn, parse_hour_key(key))
    many = found.filter(pl.col("refused") > pipeline.settings.max_refused_share * pl.col("fetched"))
    nearly_all = many.filter(pl.col("fetched") - pl.col("refused") < ledger.MIN_READ_SHARE * pl.col("fetched"))
    lines = [
        f"cycle {row['cycle_id']}, {row['platform']}: {row['refusal'] or '{refused} of {fetched} answers were refused'.format(**row)}"
        for row in many.head(MOST_NAMED).iter_rows(named=True)
    ]
    lines += [f"and {many.height - MOST_NAMED} more"] if many.height > MOST_NAMED else []
    return dg.AssetCheckResult(
        passed=many.is_empty(),
        severity=dg.AssetCheckSeverity.WARN if nearly_all.is_empty() else dg.AssetCheckSeverity.ERROR,
        description=None
        if many.is_empty()
        else f"{'; '.join(lines)}. core.rejects has every reason. If a proxy or cache gives wrong answers, mend that and scrape again; if"
        f" the platform has changed its answers, mend its parser and run `palimpsest backfill {key} {key}`.",
        metadata={"refused": found["refused"].sum(), "platforms_with_refusals": many.height},
    )


@partition_check(asset=["core", "tournaments"], partitions_def=hours)
def discovery_is_complete(pipeline: Pipeline, key: str) -> dg.AssetCheckResult:
    """In the hour's last full cycle every platform's tree and tournaments were received as a whole: as many listings as declared, every page."""
    with pipeline.connect() as conn:
        lacking = quality.incomplete_discovery(conn, parse_hour_key(key))
    trees, tournaments = lacking.filter(external_id="*"), lacking.filter(lacking["external_id"] != "*")
    said = [
        f"{platform}: {completeness}, {missing}"
        for platform, completeness, missing in trees.select("platform", "completeness", "missing").iter_rows()
    ]
    named = tournaments.select("platform", "external_id", "completeness", "missing").head(MOST_NAMED).iter_rows()
    said += [f"{platform} tournament {external_id}: {completeness}, {missing}" for platform, external_id, completeness, missing in named]
    said += [f"and {tournaments.height - MOST_NAMED} tournaments more"] if tournaments.height > MOST_NAMED else []
    return dg.AssetCheckResult(
        passed=lacking.is_empty(),
        severity=dg.AssetCheckSeverity.WARN,
        description=None
        if lacking.is_empty()
        else "; ".join(said)
        + ". Nothing in them is concluded absent; the next full cycle looks again. If it stays, see core.discovery_manifest and the"
        " failed requests in ops.scrape_runs.errors_by_class.",
        metadata={"platforms_incomplete": trees.height, "tournaments_incomplete": tournaments.height},
    )
