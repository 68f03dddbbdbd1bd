"""From landing to core: read, normalise, match, write.

One function per product of a cycle, inside the caller's transaction. Knows no Dagster.
"""

from collections.abc import Callable, Iterator, Sequence
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
from palimpsest_pipeline.storage.catalog import known_listings, listings, players, universe, upcoming_fixtures
from palimpsest_pipeline.storage.derivation import derived_products, dirty_fixtures
from palimpsest_pipeline.storage.ledger import cycle_ledger as batches
from palimpsest_pipeline.storage.ledger import rejected_answers
from palimpsest_pipeline.storage.marts import cycle_marts, lifecycle
from palimpsest_pipeline.storage.odds import book_sizes, history, partitions

from ..context import Pipeline
from ..derive_hour import DeriveProduct
from . import cycle_frames, vocabulary_ledger
from .books import COUNT_COLUMNS, EMPTY_BOOKS, Books, concat_books, refuse_kickoffs

VOCABULARY_TABLES: Final = {
    "core.unmapped_markets": vocabulary_ledger.count_unmapped_markets,
    "core.mapping_counts": vocabulary_ledger.count_markets,
}
"""What the vocabulary said of a cycle's answers: tables that are replaced cycle by cycle, and what makes their rows."""
MIN_DOUBTFUL_ANSWERS: Final = 5
"""Fewer answers in play or without a price prove nothing: they may be all that a platform lists late at night."""
ANSWERS_PER_BATCH: Final = 64
"""Answers that are read and written together: the whole books of so many are in memory. No result depends on it."""
ANSWER_KEY_SCHEMA: Final[dict[str, pl.DataType]] = {"listing_id": pl.Int32(), "observed_at": INSTANT}
"""What tells the answers of a platform apart."""


@dataclass(frozen=True, slots=True)
class WrittenAnswers:
    """What a platform's answers of a cycle came to: answers taken in (ANSWER), rows of each of LEDGERS, players
    named, and as in `Books` the rest.
    """

    answers: pl.DataFrame
    vocabulary_rows: dict[str, pl.DataFrame]
    players: pl.DataFrame
    refused: Sequence[tuple[PayloadKind, Reject, bool]]
    without_price: Sequence[Reject]


def derive_tournaments(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """The cycle's own row, what its discovery was promised and got, and the platforms' tournaments."""
    platforms = pipeline.list_cycle_platforms(manifest)
    pipeline.record_platforms(conn, platforms)
    found = cycle_frames.read_discoveries(pipeline, manifest, platforms)
    seen = cycle_frames.read_cycle_listings(pipeline, manifest, found, platforms)
    pipeline.seen_listings.keep(manifest.cycle_id, manifest.digest, platforms, seen)
    tournaments = cycle_frames.frame_tournaments(found, seen)
    facts = cycle_frames.read_cycle_facts(pipeline, manifest)
    listings.write_discovery(conn, facts, cycle_frames.frame_manifest(found), tournaments, platforms)
    unread = [entry for discovery, _ in found.values() for entry in discovery.rejects]
    refused = [
        (PayloadKind.LISTING, entry, False)
        for entry in (*unread, *refuse_kickoffs(cycle_frames.list_discovered_listings(found)))
    ]
    rejected_answers.replace_rejects(conn, manifest.cycle_id, cycle_frames.DISCOVERY_KINDS, refused, platforms)
    return tournaments.height


def make_event_derivation(platforms_of: Callable[[Pipeline, Manifest], Sequence[Platform]]) -> DeriveProduct:
    """Listings of the platforms that `platforms_of` names, as discovered and as their own answers state them."""

    def derive(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
        platforms = platforms_of(pipeline, manifest)
        seen = pipeline.seen_listings.take(manifest.cycle_id, manifest.digest, platforms)
        if seen is None:  # another process, or an earlier run, has derived the tournaments
            seen = cycle_frames.read_cycle_listings(
                pipeline, manifest, cycle_frames.read_discoveries(pipeline, manifest, platforms), platforms
            )
        written = listings.write_listings(conn, manifest.cycle_id, seen, platforms)
        upcoming_fixtures.record_kickoffs(conn, pipeline.clock.now())
        return written.height

    return derive


def order_platforms(pipeline: Pipeline, manifest: Manifest) -> tuple[Platform, ...]:
    """The platforms in order of trust: the cycle's home first."""
    return put_home_first(manifest.home_platform, pipeline.list_cycle_platforms(manifest))


derive_home_events = make_event_derivation(lambda pipeline, manifest: order_platforms(pipeline, manifest)[:1])
derive_competitor_events = make_event_derivation(lambda pipeline, manifest: order_platforms(pipeline, manifest)[1:])


def make_odds_derivation(platform: Platform) -> DeriveProduct:
    """Every detail answer of the platform as a capture, and the markets that changed since the answer before; what no
    vocabulary knows is counted.

    What the cycle wrote of the platform when it was last derived and does not say now is taken out again.
    """

    def derive(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
        cycle_id = manifest.cycle_id
        history.lock_platform(conn, platform)
        partitions.hold_partitions(
            conn
        )  # else retention might drop a day of the past between making it and writing to it
        _make_partitions(pipeline, manifest, platform)
        stale = history.read_answers_of_cycle(conn, cycle_id, platform)
        sizes = book_sizes.read_book_sizes_of_cycle(conn, cycle_id, platform)
        books = _write_books(
            pipeline,
            conn,
            cycle_id,
            platform,
            cycle_frames.read_cycle_books(pipeline, manifest, platform, ANSWERS_PER_BATCH),
        )
        gone = stale.join(books.answers, on=list(ANSWER_KEY_SCHEMA), how="anti")
        history.remove_answers(conn, gone, platform)
        rejected_answers.replace_rejects(conn, cycle_id, [PayloadKind.DETAIL], books.refused, [platform])
        refused = [entry for _, entry, whole in books.refused if whole]
        _note_refusals(pipeline, conn, manifest, platform, books.answers.height, refused, books.without_price)
        for table, frame in books.vocabulary_rows.items():
            cycle_marts.replace_rows(conn, table, cycle_id, frame, platform)
        # From here on other platforms and cycles wait: what all of them write to comes last.
        listings.refresh_priced_counts(conn, sorted({*books.answers["listing_id"], *gone["listing_id"]}))
        players.write_players(conn, cycle_id, platform, books.players)
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
    """Tell the ledger how many of the platform's answers could not be used.

    `n_read` includes those `without_price`. Single matches begin early and single books are suspended: that is no
    refusal. Where it is most of what a full cycle got, the platform has changed its answers, and such answers count as
    refused.
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
    """Make coverage of later cycles due again if the cycle's books changed in size: the choice of primary listings
    depends on them.
    """
    names = list(book_sizes.BOOK_SIZES_SCHEMA)
    changed = pl.concat([before.join(after, on=names, how="anti"), after.join(before, on=names, how="anti")])
    since = changed["observed_at"].min()
    if isinstance(since, datetime):
        listings_changed = changed["listing_id"].unique().to_list()
        derived_products.mark_due_by_book_sizes(
            conn, derived_products.COVERAGE_PRODUCT, cycle_id, listings_changed, since, universe.CARRY_LIMIT
        )


def _make_partitions(pipeline: Pipeline, manifest: Manifest, platform: Platform) -> None:
    """Partitions for the days of the answers, on a connection of their own: their lock is not kept while the cycle is
    written.

    A day of which the archive alone has rows is brought back first: else what is written now would be taken for all of
    it.
    """
    observed = pipeline.landing.read_answers(
        manifest, kinds=[PayloadKind.DETAIL], platforms=[platform], columns=["observed_at"]
    )["observed_at"]
    days = observed.dt.date().unique().to_list()
    past = {day for day in days if day < pipeline.clock.now().date()}
    with pipeline.connect() as own:
        for day in sorted(past.difference(partitions.find_days_with_rows(own, past))):
            exported = pipeline.archive.read_entry(day)
            if exported is None:
                _require_never_exported(pipeline, own, day)
            elif exported.n_captures:
                pipeline.archive.restore(own, day)
                own.commit()
        partitions.ensure_partitions(own, days)


def _require_never_exported(pipeline: Pipeline, conn: psycopg.Connection, day: date) -> None:
    """Raise ArchiveError when a day that the archive does not have was exported: what is written to it now would be
    taken for all of it.
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
    """A platform's answers, taken in by batches, so that memory does not grow with the cycle."""
    given: list[pl.DataFrame] = []
    read: list[Books] = []
    for books in _batch_books(parts):
        ids = listings.add_listing_ids(conn, books.answers.select("platform", "external_id").unique()).cast(
            {"listing_id": pl.Int32}
        )
        answers = books.answers.join(ids, on=("platform", "external_id"), how="left", maintain_order="left")
        _write_batch(pipeline, conn, cycle_id, platform, answers, books.rows)
        given.append(answers)
        read.append(
            replace(books, rows=EMPTY_BOOKS.rows)
        )  # they are written by now; the rest is counted over the whole cycle, and is small
    if not read:
        nothing = {
            table: pl.DataFrame(schema=cycle_marts.get_frame_schema(table)).drop("cycle_id")
            for table in VOCABULARY_TABLES
        }
        return WrittenAnswers(
            pl.DataFrame(schema=ANSWER_KEY_SCHEMA), nothing, pl.DataFrame(schema=players.PLAYER_SCHEMA), (), ()
        )
    whole = concat_books(read)
    taken = _keep_last_answers(whole.answers.with_columns(pl.concat([answers["listing_id"] for answers in given])))
    named = whole.players.rename({"outcome": "external_player_id"})
    return WrittenAnswers(
        taken.select(*ANSWER_KEY_SCHEMA),
        {table: rows_of(whole, taken) for table, rows_of in VOCABULARY_TABLES.items()},
        named.join(taken, on="capture").select(pl.col(name).cast(kind) for name, kind in players.PLAYER_SCHEMA.items()),
        whole.refused,
        whole.without_price,
    )


def _batch_books(parts: Iterator[Books]) -> Iterator[Books]:
    """The books in batches of BATCH answers or a little more; also those of answers that were all refused."""
    waiting: list[Books] = []
    for part in parts:
        waiting.append(part)
        if sum(books.answers.height for books in waiting) >= ANSWERS_PER_BATCH:
            yield concat_books(waiting)
            waiting = []
    if waiting:
        yield concat_books(waiting)


def _keep_last_answers(answers: pl.DataFrame) -> pl.DataFrame:
    """Of several answers about one listing at one instant, the one that was taken in last."""
    return answers.sort("capture").unique(list(ANSWER_KEY_SCHEMA), keep="last", maintain_order=True)


def _write_batch(
    pipeline: Pipeline,
    conn: psycopg.Connection,
    cycle_id: int,
    platform: Platform,
    answers: pl.DataFrame,
    rows: pl.DataFrame,
) -> None:
    """Takes a batch of answers (ANSWERS and listing_id) into the history."""
    captures = _keep_last_answers(answers).select("capture", *ANSWER_KEY_SCHEMA, *COUNT_COLUMNS)
    history.ingest_answers(
        conn,
        captures.drop("capture"),
        rows.join(captures.select("capture", *ANSWER_KEY_SCHEMA), on="capture").drop("capture"),
        cycle_id=cycle_id,
        mapping_version=pipeline.vocabulary.version,
        ingested_at=pipeline.clock.now(),
        platform=platform,
    )


def derive_matched_events(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """Fixtures and tournaments joined anew from all listings that bear on the cycle's, and the players of the fixtures
    touched: order of arrival cannot matter. Fixtures that the cycle looked at, and their kickoff dates, are due to be
    derived anew.

    These tables show the present, so the home platform of the settings is trusted first, whichever was home when the
    cycle was scraped.
    """
    of_cycle = known_listings.read_listings_of_cycle(conn, manifest.cycle_id)
    touched = matched.read_listings_to_match(conn, of_cycle)
    identified = identify_listings(book_sizes.add_largest_books(conn, touched, list_rival_listings(touched)))
    home = pipeline.settings.home_platform
    platforms = load_packs().order_by_trust((home, *identified["platform"].unique()))
    tournaments, links = build_crosswalk(identified, platforms, home)
    found = build_fixtures(identified, links, put_home_first(home, platforms))
    stood = lifecycle.read_kickoff_dates(conn, identified["listing_id"].to_list())
    moved = matched.write_matching(conn, identified, found, tournaments, links)
    upcoming_fixtures.record_kickoffs(conn, pipeline.clock.now())
    lifecycle.mark_dates(conn, manifest.cycle_id, sorted(moved), stood)
    dirty_fixtures.mark_fixtures(conn, manifest.cycle_id, sorted(moved))
    looked_at = sorted(
        moved.union(identified.filter(pl.col("listing_id").is_in(of_cycle))["fixture_sr_id"].drop_nulls())
    )
    players.write_player_links(conn, looked_at, link_players(players.read_players_of_fixtures(conn, looked_at)))
    return found.height
