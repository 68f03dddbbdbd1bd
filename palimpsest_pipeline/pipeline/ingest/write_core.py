"""The derivation of core from the landing: read, normalise, match, write.

Each product of a cycle has one function, which runs inside the caller's transaction; CORE_PRODUCTS has them in order of
derivation. Imports no Dagster.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import PayloadKind, Platform, Scope
from palimpsest_pipeline.domain.observations import Reject
from palimpsest_pipeline.domain.platform_trust import put_home_first
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.matching import (
    build_crosswalk,
    build_fixtures,
    identify_listings,
    link_players,
    list_rival_listings,
)
from palimpsest_pipeline.platforms.packs import load_packs
from palimpsest_pipeline.storage.archive import ArchiveError, read_recorded_days
from palimpsest_pipeline.storage.catalog import fixtures as matched
from palimpsest_pipeline.storage.catalog import listed_players, listings, upcoming_fixtures
from palimpsest_pipeline.storage.catalog.listed_players import PLAYER_SCHEMA
from palimpsest_pipeline.storage.catalog.listings_as_of import CARRY_LIMIT
from palimpsest_pipeline.storage.derivation import derived_products, dirty_fixtures
from palimpsest_pipeline.storage.derivation.due_products import Product
from palimpsest_pipeline.storage.ledger import cycle_ledger as batches
from palimpsest_pipeline.storage.ledger import rejected_answers
from palimpsest_pipeline.storage.marts import cycle_marts, lifecycle_rows
from palimpsest_pipeline.storage.odds import book_sizes, history, partitions
from palimpsest_pipeline.storage.odds.market_lines import LineCache
from palimpsest_pipeline.tables.frame_types import get_frame_schema

from ..context import Pipeline
from ..derive_hour import DerivedCycles, DeriveProduct, derive_cycles, derive_platforms
from . import cycle_frames
from .books import COUNT_COLUMNS, EMPTY_BOOKS, Books, concat_books, refuse_kickoffs

MIN_DOUBTFUL_ANSWERS: Final = 5
"""Minimum number of answers, in play or without a price, from which a changed format is concluded.

Late at night a platform may list only a few matches, all of them in play.
"""
ANSWERS_PER_BATCH: Final = 64
"""Number of answers that are read and written together, with their whole books in memory.

The number has no influence on the rows.
"""
ANSWER_KEY_SCHEMA: Final[dict[str, pl.DataType]] = {"listing_id": pl.Int32(), "observed_at": INSTANT}
"""The columns that identify an answer of a platform."""


@dataclass(frozen=True, slots=True)
class WrittenAnswers:
    """The result of writing a platform's answers of a cycle.

    `answers` has the columns ANSWER_KEY_SCHEMA. `vocabulary_rows` maps each of VOCABULARY_TABLES to its rows. `players`
    are the players that the answers name. The other fields are as in `Books`.
    """

    answers: pl.DataFrame
    vocabulary_rows: dict[str, pl.DataFrame]
    players: pl.DataFrame
    refused: Sequence[tuple[PayloadKind, Reject, bool]]
    without_price: Sequence[Reject]


def derive_tournaments(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """Write the cycle's row, its numbers of declared and received listings, and the tournaments."""
    platforms = pipeline.list_cycle_platforms(manifest)
    pipeline.record_platforms(conn, platforms)
    discoveries = cycle_frames.read_discoveries(pipeline, manifest, platforms)
    cycle_listings = cycle_frames.read_cycle_listings(pipeline, manifest, discoveries, platforms)
    pipeline.seen_listings.keep(manifest.cycle_id, manifest.digest, platforms, cycle_listings)
    tournaments = cycle_frames.frame_tournaments(discoveries, cycle_listings)
    facts = cycle_frames.read_cycle_facts(pipeline, manifest)
    listings.write_discovery(conn, facts, cycle_frames.frame_manifest(discoveries), tournaments, platforms)
    discovery_rejects = [entry for discovery, _ in discoveries.values() for entry in discovery.rejects]
    rejects = [
        (PayloadKind.LISTING, entry, False)
        for entry in (*discovery_rejects, *refuse_kickoffs(cycle_frames.list_discovered_listings(discoveries)))
    ]
    rejected_answers.replace_rejects(conn, manifest.cycle_id, cycle_frames.DISCOVERY_KINDS, rejects, platforms)
    return tournaments.height


def make_event_derivation(platforms_of: Callable[[Pipeline, Manifest], Sequence[Platform]]) -> DeriveProduct:
    """Return a function that writes a cycle's listings for the platforms that `platforms_of` returns.

    The listings come from the cycle's discovery and from its detail answers.
    """

    def derive(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
        platforms = platforms_of(pipeline, manifest)
        cycle_listings = pipeline.seen_listings.take(manifest.cycle_id, manifest.digest, platforms)
        if cycle_listings is None:  # not in the cache: another process, or an earlier run, has derived the tournaments
            cycle_listings = cycle_frames.read_cycle_listings(
                pipeline, manifest, cycle_frames.read_discoveries(pipeline, manifest, platforms), platforms
            )
        written = listings.write_listings(conn, manifest.cycle_id, cycle_listings, platforms)
        upcoming_fixtures.record_kickoffs(conn, pipeline.clock.now())
        return written.height

    return derive


def order_platforms(pipeline: Pipeline, manifest: Manifest) -> tuple[Platform, ...]:
    """Return the platforms of the cycle, its home platform first, then by trust in their claims."""
    return put_home_first(manifest.home_platform, pipeline.list_cycle_platforms(manifest))


derive_home_events = make_event_derivation(lambda pipeline, manifest: order_platforms(pipeline, manifest)[:1])
derive_competitor_events = make_event_derivation(lambda pipeline, manifest: order_platforms(pipeline, manifest)[1:])


def make_odds_derivation(platform: Platform) -> DeriveProduct:
    """Return a function that writes a platform's detail answers and the changes of their markets.

    The function also counts the markets that the vocabulary does not know. It removes answers that an earlier
    derivation of the same cycle wrote and that the cycle does not have any more.
    """

    def derive(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
        cycle_id = manifest.cycle_id
        history.lock_platform(conn, platform)
        partitions.hold_partitions(
            conn
        )  # without this lock, retention might drop the partition of a past day before it is written to
        _make_partitions(pipeline, manifest, platform)
        stale = history.read_answers_of_cycle(conn, cycle_id, platform)
        sizes = book_sizes.read_book_sizes_of_cycle(conn, cycle_id, platform)
        books = _write_books(
            pipeline,
            conn,
            cycle_id,
            platform,
            pipeline.book_reader.read_books(manifest, platform, ANSWERS_PER_BATCH),
        )
        dropped_answers = stale.join(books.answers, on=list(ANSWER_KEY_SCHEMA), how="anti")
        history.remove_answers(conn, dropped_answers, platform)
        rejected_answers.replace_rejects(conn, cycle_id, [PayloadKind.DETAIL], books.refused, [platform])
        refused = [entry for _, entry, whole in books.refused if whole]
        _note_refusals(pipeline, conn, manifest, platform, books.answers.height, refused, books.without_price)
        for table, frame in books.vocabulary_rows.items():
            cycle_marts.replace_cycle_rows(conn, table, cycle_id, frame, platform)
        # From here on, other platforms and cycles wait for locks. Tables that all of them write to come last.
        listings.refresh_priced_counts(conn, sorted({*books.answers["listing_id"], *dropped_answers["listing_id"]}))
        listed_players.write_players(conn, cycle_id, platform, books.players)
        _unmark_coverage(conn, cycle_id, sizes, book_sizes.read_book_sizes_of_cycle(conn, cycle_id, platform))
        return history.count_rows_of_cycle(conn, cycle_id, platform)

    return derive


def _note_refusals(
    pipeline: Pipeline,
    conn: psycopg.Connection,
    manifest: Manifest,
    platform: Platform,
    n_read: int,
    refused: Sequence[Reject],
    without_price: Sequence[Reject],
) -> None:
    """Record in the ledger how many of the platform's answers could not be used.

    `n_read` includes the answers `without_price`. A single match that begins early, or a single book without a price,
    does not count as refused. If most answers of a full cycle are in play or without a price, the platform has probably
    changed its format; then these answers count as refused.
    """
    unread = [entry for entry in refused if not entry.is_in_play]
    doubtful = [*(entry for entry in refused if entry.is_in_play), *without_price]
    if (
        manifest.scope is Scope.FULL
        and len(doubtful) >= MIN_DOUBTFUL_ANSWERS
        and 2 * len(doubtful) > n_read + len(refused)
    ):
        unread += doubtful
        n_read -= len(without_price)
    batches.record_refusals(
        conn,
        manifest.cycle_id,
        platform,
        n_read=n_read,
        n_refused=len(unread),
        example=f"{unread[0].path}: {unread[0].reason}" if unread else "",
        max_refused_share=pipeline.settings.max_refused_share,
    )


def _unmark_coverage(conn: psycopg.Connection, cycle_id: int, before: pl.DataFrame, after: pl.DataFrame) -> None:
    """Make coverage of later cycles due again if the numbers of markets in this cycle's books changed.

    These numbers decide which of several listings is the primary listing of a platform.
    """
    changed = pl.concat(
        [before.join(after, on=before.columns, how="anti"), after.join(before, on=before.columns, how="anti")]
    )
    first_observed_at = changed["observed_at"].min()
    if isinstance(first_observed_at, datetime):
        listing_ids = changed["listing_id"].unique().to_list()
        derived_products.mark_due_by_book_sizes(
            conn, derived_products.COVERAGE_PRODUCT, cycle_id, listing_ids, first_observed_at, CARRY_LIMIT
        )


def _make_partitions(pipeline: Pipeline, manifest: Manifest, platform: Platform) -> None:
    """Create the partitions for the days of the answers, on a separate connection.

    A separate transaction ends the lock on the partitions before the cycle is written. A past day whose rows are only
    in the archive is restored first: otherwise the new rows would count as the whole day.
    """
    observed_at = pipeline.landing.read_answers(
        manifest, kinds=[PayloadKind.DETAIL], platforms=[platform], columns=["observed_at"]
    )["observed_at"]
    days = observed_at.dt.date().unique().to_list()
    past_days = {day for day in days if day < pipeline.clock.now().date()}
    with pipeline.connect() as conn:
        for day in sorted(past_days.difference(partitions.find_days_with_rows(conn, past_days))):
            entry = pipeline.archive.read_entry(day)
            if entry is None:
                _require_never_exported(pipeline, conn, day)
            elif entry.n_captures:
                pipeline.archive.restore(conn, day)
                conn.commit()
        partitions.ensure_partitions(conn, days)


def _require_never_exported(pipeline: Pipeline, conn: psycopg.Connection, day: date) -> None:
    """Raise ArchiveError when the day was exported and the archive does not have it.

    Otherwise new rows of the day would be taken for all its rows.
    """
    recorded = read_recorded_days(conn).get(day)
    if recorded is not None and recorded.n_captures:
        raise ArchiveError(
            f"{day} was exported at {recorded.exported_at:%Y-%m-%d %H:%M} UTC with {recorded.n_captures} answers, and"
            f" the export at {pipeline.archive.address} does not have it: nothing is written to the day. `palimpsest"
            " doctor` says what to do."
        )


def _write_books(
    pipeline: Pipeline, conn: psycopg.Connection, cycle_id: int, platform: Platform, parts: Iterator[Books]
) -> WrittenAnswers:
    """Write a platform's answers in groups, so that memory does not grow with the size of the cycle."""
    batch_answers: list[pl.DataFrame] = []
    batch_books: list[Books] = []
    line_cache = LineCache()
    for books in _batch_books(parts):
        ids = listings.add_listing_ids(conn, books.answers.select("platform", "external_id").unique()).cast(
            {"listing_id": pl.Int32}
        )
        answers = books.answers.join(ids, on=("platform", "external_id"), how="left", maintain_order="left")
        _write_batch(pipeline, conn, cycle_id, platform, answers, books.rows, line_cache)
        batch_answers.append(answers)
        batch_books.append(
            replace(books, rows=EMPTY_BOOKS.rows)
        )  # the rows are written by now; only small counts are kept for the whole cycle
    if not batch_books:
        empty_rows = {
            table: pl.DataFrame(schema=get_frame_schema(table)).drop("cycle_id") for table in VOCABULARY_TABLES
        }
        return WrittenAnswers(
            pl.DataFrame(schema=ANSWER_KEY_SCHEMA), empty_rows, pl.DataFrame(schema=PLAYER_SCHEMA), (), ()
        )
    cycle_books = concat_books(batch_books)
    last_answers = _keep_last_answers(
        cycle_books.answers.with_columns(pl.concat([answers["listing_id"] for answers in batch_answers]))
    )
    named_players = cycle_books.players.rename({"outcome": "external_player_id"})
    return WrittenAnswers(
        last_answers.select(*ANSWER_KEY_SCHEMA),
        {table: build_rows(cycle_books, last_answers) for table, build_rows in VOCABULARY_TABLES.items()},
        named_players.join(last_answers, on="capture").select(
            pl.col(name).cast(kind) for name, kind in PLAYER_SCHEMA.items()
        ),
        cycle_books.refused,
        cycle_books.without_price,
    )


def _batch_books(parts: Iterator[Books]) -> Iterator[Books]:
    """Yield the books joined to groups of at least ANSWERS_PER_BATCH answers; some books have no answers."""
    batch: list[Books] = []
    for part in parts:
        batch.append(part)
        if sum(books.answers.height for books in batch) >= ANSWERS_PER_BATCH:
            yield concat_books(batch)
            batch = []
    if batch:
        yield concat_books(batch)


def _keep_last_answers(answers: pl.DataFrame) -> pl.DataFrame:
    """Return, of several answers about one listing with one `observed_at`, only the last one."""
    return answers.sort("capture").unique(list(ANSWER_KEY_SCHEMA), keep="last", maintain_order=True)


def _write_batch(
    pipeline: Pipeline,
    conn: psycopg.Connection,
    cycle_id: int,
    platform: Platform,
    answers: pl.DataFrame,
    rows: pl.DataFrame,
    line_cache: LineCache,
) -> None:
    """Write a group of answers (ANSWER_SCHEMA and listing_id) and their markets to the history."""
    captures = _keep_last_answers(answers).select("capture", *ANSWER_KEY_SCHEMA, *COUNT_COLUMNS)
    history.ingest_answers(
        conn,
        captures.drop("capture"),
        rows.join(captures.select("capture", *ANSWER_KEY_SCHEMA), on="capture").drop("capture"),
        cycle_id=cycle_id,
        mapping_version=pipeline.vocabulary.version,
        ingested_at=pipeline.clock.now(),
        platform=platform,
        line_cache=line_cache,
    )


def derive_matched_events(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """Match again the fixtures, tournaments and players of a cycle's listings; return how many fixtures.

    All listings that may belong together with a listing of the cycle take part, so the order in which listings arrived
    does not matter. Changed fixtures and their kickoff dates are marked, so that their prices and life are derived
    again. These tables show the current state: the home platform of the settings is trusted first, even if another one
    was home when the cycle was scraped.
    """
    cycle_listing_ids = upcoming_fixtures.read_listings_of_cycle(conn, manifest.cycle_id)
    listings_to_match = matched.read_listings_to_match(conn, cycle_listing_ids)
    identified = identify_listings(
        book_sizes.add_largest_books(conn, listings_to_match, list_rival_listings(listings_to_match))
    )
    home = pipeline.settings.home_platform
    platforms = load_packs().order_by_trust((home, *identified["platform"].unique()))
    tournaments, links = build_crosswalk(identified, platforms, home)
    fixtures = build_fixtures(identified, links, put_home_first(home, platforms))
    old_kickoff_dates = lifecycle_rows.read_kickoff_dates(conn, identified["listing_id"].to_list())
    affected_fixtures = matched.write_matching(conn, identified, fixtures, tournaments, links)
    upcoming_fixtures.record_kickoffs(conn, pipeline.clock.now())
    lifecycle_rows.mark_dates(conn, manifest.cycle_id, sorted(affected_fixtures), old_kickoff_dates)
    dirty_fixtures.mark_fixtures(conn, manifest.cycle_id, sorted(affected_fixtures))
    cycle_fixtures = sorted(
        affected_fixtures.union(
            identified.filter(pl.col("listing_id").is_in(cycle_listing_ids))["fixture_sr_id"].drop_nulls()
        )
    )
    listed_players.write_player_links(
        conn, cycle_fixtures, link_players(listed_players.read_players_of_fixtures(conn, cycle_fixtures))
    )
    return fixtures.height


LISTING_ID = pl.col("listing_id")
MAX_ID_CHARACTERS: Final = 200
"""Maximum length of a platform's id in the ledger.

The id is part of the key, and Postgres refuses keys of some thousand characters. The longest known id has 30.
"""


def count_unmapped_markets(books: Books, answers: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of core.unmapped_markets, with samples from the first specifier and answer."""
    return (
        books.unmapped.with_columns(
            pl.col("platform", "sport").cast(pl.String),
            pl.col("external_market_id", "specifier_schema").str.head(MAX_ID_CHARACTERS),
        )
        .join(answers.select("capture", "listing_id", "observed_at"), on="capture")
        .sort("external_market_id", "specifier", "observed_at", "capture")
        .group_by("platform", "sport", "external_market_id", "specifier_schema", "error_class", maintain_order=True)
        .agg(
            pl.col("name").first(),
            pl.col("specifier").first().alias("sample_specifier"),
            pl.col("sample_outcomes").first(),
            pl.len().cast(pl.Int32).alias("occurrences"),
            LISTING_ID.unique().sort().alias("listing_ids"),
            pl.col("observed_at").min().alias("first_observed_at"),
            pl.col("observed_at").max().alias("last_observed_at"),
        )
    )


def count_markets(books: Books, answers: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of core.mapping_counts."""
    return (
        books.coverage.join(answers, on="capture")
        .group_by("platform", "sport", "family", "error_class")
        .agg(
            pl.col("n_markets").sum().cast(pl.Int32),
            LISTING_ID.filter(pl.col("error_class") != "").unique().sort().alias("listing_ids"),
        )
        .sort("platform", "sport", "family", "error_class")
    )


VOCABULARY_TABLES: Final = {
    "core.unmapped_markets": count_unmapped_markets,
    "core.mapping_counts": count_markets,
}
"""The tables that count mapped and unmapped markets by cycle, and the functions that build their rows."""


@dataclass(frozen=True, slots=True)
class CoreProduct:
    """One product of core, with one function: for whole cycles, or for one platform of a cycle.

    `needs` names products of the same cycle that must be derived before.
    """

    derive_cycle: DeriveProduct | None = None
    make_platform_derivation: Callable[[Platform], DeriveProduct] | None = None
    needs: tuple[str, ...] = ()


CORE_PRODUCTS: Final[Mapping[str, CoreProduct]] = {
    "tournaments": CoreProduct(derive_tournaments),
    "home_events": CoreProduct(derive_home_events, needs=("tournaments",)),
    "competitor_events": CoreProduct(derive_competitor_events, needs=("tournaments",)),
    derived_products.ODDS_PRODUCT: CoreProduct(
        make_platform_derivation=make_odds_derivation, needs=("home_events", "competitor_events")
    ),
    "matched_events": CoreProduct(derive_matched_events, needs=(derived_products.ODDS_PRODUCT,)),
}


def derive_product(pipeline: Pipeline, name: str, manifests: Sequence[Manifest]) -> DerivedCycles:
    """Derive the product `name` for those cycles of `manifests` for which it is due (see `derive_cycles`)."""
    product = CORE_PRODUCTS[name]
    needs = make_core_needs(product.needs)
    if product.derive_cycle:
        return derive_cycles(pipeline, manifests, "core", name, product.derive_cycle, needs=needs)
    assert product.make_platform_derivation is not None
    return derive_platforms(pipeline, manifests, name, product.make_platform_derivation, needs=needs)


def make_core_needs(names: Iterable[str]) -> tuple[Product, ...]:
    """Return these products of core."""
    return tuple(Product("core", name, by_platform=CORE_PRODUCTS[name].derive_cycle is None) for name in names)


def ingest_cycle(pipeline: Pipeline, cycle_id: int) -> None:
    """Derive all products of core for one cycle that has just been landed."""
    manifest = pipeline.landing.read_manifest(cycle_id)
    for name in CORE_PRODUCTS:
        derive_product(pipeline, name, [manifest])
