"""What deriving price comparison, gaps, margins as they stand and over time, and price leads costs, partition by partition: our
functions beside DuckDB and Postgres.

Every engine reads the same rows (files of about a million prices each; Postgres its own tables, loaded beforehand),
does the same work by its own means, and must come to the same rows, which is checked on the first partition before
anything is timed. Each run is a process of its own, so that its peak memory is its own. Rounds go through the engines
in turns; a ratio is the median of the rounds' own ratios.
"""

from collections import defaultdict
from collections.abc import Sequence
from contextlib import ExitStack
from os import cpu_count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Final

import polars as pl
import typer
from polars.testing import assert_frame_equal

from palimpsest_pipeline.pipeline.marts.derive_prices import COMPARED_FIXTURES_PER_BATCH
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.db.copy_frames import copy_rows
from palimpsest_pipeline_tests.fixtures.postgres import run_server

from ._child import run
from ._history_world import HistoryWorld
from ._marts_child import Derive, Took
from ._marts_child import __name__ as child
from ._marts_files import AS_THEY_STAND, INPUTS, OVER_TIME, WORDS, partition_file, word_file
from ._marts_world import PARTITION_PRICES, MartsWorld

ENGINES: Final = ("ours", "duckdb", "postgres")
TABLES: Final = tuple(INPUTS)
OURS: Final = "ours"
NEVER_LEFT_OUT: Final = (OURS, "duckdb")
KEYS: Final = (
    "sr_id",
    "market_key",
    "specifier",
    "outcome_key",
    "platform",
    "observed_from",
    "lead_type",
    "leader",
    "follower",
    "leader_at",
)
WITHIN: Final = {"margin_reference_pct": 0.0051}
"""How far figures may differ: ours is rounded to two places.

All others agree but for the order in which floats are added.
"""
COLUMNS: Final = {
    "markets": "sr_id bigint, platform text, market_key text, specifier text, outcome text, state text, off_mask bigint, odds_milli integer[], "
    "state_since timestamptz",
    "listings": "sr_id bigint, platform text, answered_at timestamptz, dropped_at timestamptz, kickoff_at timestamptz",
    "lives": "listing_id integer, sr_id bigint, platform text, is_home boolean, first_listed_at timestamptz, last_seen_at timestamptz",
    "looks": "listing_id integer, cycle_id bigint, at timestamptz, look text, detail text, n_markets_priced integer",
    "changes": "listing_id integer, observed_at timestamptz, market_key text, specifier text, outcome text, state text, off_mask bigint, "
    "odds_milli integer[], keyframe boolean",
    "kickoffs": "sr_id bigint, version smallint, observed_from timestamptz, kickoff_at timestamptz",
    "outcomes": "market_key text, market_id smallint, ordinal smallint, outcome_key text",
    "sets": "market_id smallint, winners_k smallint, n_expected smallint, outcome_mask bigint, market_key text",
}
"""Of the tables in Postgres."""

Times = dict[str, list[Took]]
"""By engine, one a round; no engine that is left out."""


def measure(
    size: Annotated[
        list[int] | None,
        typer.Option(min=1, help="Partitions at once; may be given several times. Default: 1, 10, 30."),
    ] = None,
    partition_prices: Annotated[int, typer.Option(min=1000, help="Prices in a partition, about.")] = PARTITION_PRICES,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds, of which the median counts.")] = 5,
    longest_s: Annotated[
        float, typer.Option(help="Postgres is left out where a run is expected to take longer, seconds.")
    ] = 120,
    engine: Annotated[
        list[str] | None,
        typer.Option(help="Beside ours; may be given several times. Default: duckdb, postgres."),
    ] = None,
    seed: Annotated[int, typer.Option(help="Chooses the books.")] = 1,
) -> dict[str, Any]:
    """All figures of this module."""
    sizes, engines = sorted(set(size or (1, 10, 30))), (OURS, *(engine or ENGINES[1:]))
    if unknown := sorted({*engines} - {*ENGINES}):
        raise typer.BadParameter(f"{', '.join(unknown)}: engines are {', '.join(ENGINES)}")
    if again := sorted({name for name in engines if engines.count(name) > 1}):
        raise typer.BadParameter(
            f"{', '.join(again)} is there more than once: ours always is, the others are named once"
        )
    with TemporaryDirectory(prefix="palimpsest-marts-") as folder, ExitStack() as stack:
        url = ""
        if "postgres" in engines:
            url = stack.enter_context(run_server(Path(folder), "marts")).build_url("marts")
        prices = _fill(
            MartsWorld(seed, partition_prices), HistoryWorld(seed, partition_prices), Path(folder), url, sizes[-1]
        )
        rows = {table: _agreed(table, engines, Path(folder), url) for table in TABLES}
        found: dict[str, dict[str, Any]] = {table: {} for table in TABLES}
        left_out: list[dict[str, Any]] = []
        for name in TABLES:
            a_partition_s: dict[str, float] = {}
            for n in sizes:
                timed, slow = _worth_it(name, n, engines, a_partition_s, longest_s)
                left_out += slow
                took = _timed(name, n, timed, Path(folder), url, rounds)
                a_partition_s |= {engine: _wall(runs) / n for engine, runs in took.items()}
                found[name][str(n)] = {"n_prices": sum(prices[INPUTS[name]][:n]), **_figures(took)}
    return {
        "cores": cpu_count(),
        "rounds": rounds,
        "partitions": sizes,
        "fixtures_at_once": COMPARED_FIXTURES_PER_BATCH,
        "prices_per_partition": {table: round(sum(prices[INPUTS[table]]) / sizes[-1]) for table in TABLES},
        "rows_of_first_partition": rows,
        "ratio_to_best": {
            table: {n: figures["ratio_to_best"] for n, figures in by_size.items()} for table, by_size in found.items()
        },
        "peak_rss_mb": {str(n): max(found[table][str(n)]["peak_rss_mb"][OURS] for table in TABLES) for n in sizes},
        "idle_share": median(figures["idle_share"] for by_size in found.values() for figures in by_size.values()),
        "left_out": left_out,
        "tables": found,
    }


def _fill(
    world: MartsWorld, histories: HistoryWorld, folder: Path, url: str, n: int
) -> dict[tuple[str, ...], list[int]]:
    """Write the files, and load them into Postgres; returns the prices of each partition, by the kind of inputs."""
    words = {"outcomes": world.outcomes, "sets": world.sets}
    for name in WORDS:
        words[name].write_parquet(word_file(folder, name))
    _load(url, "words", words)
    prices: dict[tuple[str, ...], list[int]] = {AS_THEY_STAND: [], OVER_TIME: []}
    for number in range(n):
        frames = dict(zip(AS_THEY_STAND, world.partition(number), strict=True)) | histories.partition(number)
        for name, frame in frames.items():
            frame.write_parquet(partition_file(folder, name, number), compression="zstd")
        _load(url, f"part_{number}", frames)
        for kind, name in ((AS_THEY_STAND, "markets"), (OVER_TIME, "changes")):
            prices[kind].append(int(frames[name]["odds_milli"].list.drop_nulls().list.len().sum()))
    return prices


def _load(url: str, schema: str, frames: dict[str, pl.DataFrame]) -> None:
    if url:
        with Database(url).connect(autocommit=True) as conn:
            conn.execute(f"create schema {schema}".encode())
            for name, frame in frames.items():
                conn.execute(f"create table {schema}.{name} ({COLUMNS[name]})".encode())
                copy_rows(conn, f"{schema}.{name}", frame)
                conn.execute(f"vacuum analyze {schema}.{name}".encode())


def _agreed(table: str, engines: Sequence[str], folder: Path, url: str) -> int:
    """How many rows the first partition comes to. Raises AssertionError unless all engines come to the same ones."""
    told = {}
    for engine in engines:
        path = folder / f"told-{engine}.parquet"
        run(child, Derive(engine, table, str(folder), 1, COMPARED_FIXTURES_PER_BATCH, url, str(path)), Took)
        told[engine] = pl.read_parquet(path)
        path.unlink()
    ours = told[OURS]
    assert ours.height, f"{table}: a table without rows measures nothing"
    for engine, frame in told.items():
        assert_same(ours, frame, table, engine)
    return ours.height


def assert_same(ours: pl.DataFrame, theirs: pl.DataFrame, table: str, engine: str) -> None:
    """Raises AssertionError unless both hold the same rows, in whatever order."""
    keys = [name for name in KEYS if name in ours.columns]
    both = [_comparable(frame.select(ours.columns), ours.schema).sort(keys) for frame in (ours, theirs)]
    try:
        for name, within in WITHIN.items():
            if name in ours.columns:
                assert_frame_equal(*(frame.select(*keys, name) for frame in both), abs_tol=within, rel_tol=0)
                both = [frame.drop(name) for frame in both]
        assert_frame_equal(*both, rel_tol=1e-9, abs_tol=1e-12)
    except AssertionError as error:
        raise AssertionError(f"{table}: ours and {engine} do not do the same work: {error}") from None


def _comparable(frame: pl.DataFrame, schema: pl.Schema) -> pl.DataFrame:
    """With the types of ours. No list is an empty one, and a price is written as short as it may be."""
    kinds = {name: pl.col(name).cast(kind) for name, kind in schema.items()}
    if "odds_vector" in kinds:
        kinds["odds_vector"] = kinds["odds_vector"].str.replace_all(r"\.0([,}])", "$1")
    return frame.select(told.fill_null([]) if schema[name] == pl.List else told for name, told in kinds.items())


def _worth_it(
    table: str, n: int, engines: Sequence[str], a_partition_s: dict[str, float], longest_s: float
) -> tuple[list[str], list[dict[str, Any]]]:
    """The engines that are timed at a size, and what is left out, with the reason. Ours and DuckDB never are."""
    expected_s = {engine: n * a_partition_s.get(engine, 0.0) for engine in engines}
    slow = [engine for engine in engines if engine not in NEVER_LEFT_OUT and expected_s[engine] > longest_s]
    left_out = [
        {"table": table, "engine": engine, "partitions": n, "expected_s": round(expected_s[engine], 1)}
        for engine in slow
    ]
    return [engine for engine in engines if engine not in slow], left_out


def _timed(table: str, n: int, engines: Sequence[str], folder: Path, url: str, rounds: int) -> Times:
    took: Times = defaultdict(list)
    for number in range(rounds):
        start = number % len(engines)
        for engine in (*engines[start:], *engines[:start]):
            took[engine].append(
                run(child, Derive(engine, table, str(folder), n, COMPARED_FIXTURES_PER_BATCH, url), Took)
            )
    counts = {one.n_rows for runs in took.values() for one in runs}
    assert len(counts) == 1, f"{table}, {n} partitions: not every run came to as many rows: {sorted(counts)}"
    return took


def _figures(took: Times) -> dict[str, Any]:
    """Medians over the rounds, by engine; ratios are to the best of the others in the same round: below 1 ours is
    the best.
    """
    others = [engine for engine in took if engine != OURS]
    ratios = [
        ours.wall_s / min(took[engine][number].wall_s for engine in others) if others else 1.0 for number, ours in enumerate(took[OURS])
    ]  # fmt: skip
    return {
        "ratio_to_best": median(ratios),
        "ratio_of_ours_to": {
            e: median(a.wall_s / b.wall_s for a, b in zip(took[OURS], took[e], strict=True)) for e in others
        },
        "wall_s": {engine: _wall(runs) for engine, runs in took.items()},
        "cpu_s": {engine: median(one.cpu_s for one in runs) for engine, runs in took.items() if engine != "postgres"},
        "peak_rss_mb": {
            engine: max((one.peak_rss_mb for one in runs if one.peak_rss_mb), default=None)
            for engine, runs in took.items()
        },
        "idle_share": median(one.idle_share for runs in took.values() for one in runs),
        "n_rows": took[OURS][0].n_rows,
    }


def _wall(runs: Sequence[Took]) -> float:
    return median(one.wall_s for one in runs)
