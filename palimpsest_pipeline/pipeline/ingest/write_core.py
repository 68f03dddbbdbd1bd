"""From landing to core: read, normalise, match, write. One function per product of a cycle, inside the caller's transaction. Knows no Dagster."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final

import polars as pl
import psycopg

from palimpsest_pipeline.domain.enums import PayloadKind, Platform, Scope
from palimpsest_pipeline.domain.observations import Reject
from palimpsest_pipeline.domain.platform_trust import trust_order
from palimpsest_pipeline.domain.schemas import INSTANT
from palimpsest_pipeline.landing import Manifest
from palimpsest_pipeline.matching import crosswalk, fixtures, identify, player_links, rivals
from palimpsest_pipeline.storage.archive import ArchiveError, recorded_days
from palimpsest_pipeline.storage.catalog import fixtures as matched
from palimpsest_pipeline.storage.catalog import known_listings, listings, players, universe, upcoming_fixtures
from palimpsest_pipeline.storage.derivation import derived_products, dirty_fixtures
from palimpsest_pipeline.storage.ledger import cycle_ledger as batches
from palimpsest_pipeline.storage.ledger import rejected_answers
from palimpsest_pipeline.storage.marts import cycle_marts, lifecycle
from palimpsest_pipeline.storage.odds import book_sizes, history, partitions

from ..context import Pipeline
from ..derive_hour import Derive
from . import cycle_frames, vocabulary_ledger
from .books import COUNTS, NO_BOOKS, Books, concat_books, refuse_kickoffs

LEDGERS: Final = {"core.unmapped_markets": vocabulary_ledger.unmapped_rows, "core.mapping_counts": vocabulary_ledger.mapping_counts}
"""What the vocabulary said of a cycle's answers: tables that are replaced cycle by cycle, and what makes their rows."""
MIN_DOUBTFUL: Final = 5
"""Fewer answers in play or without a price prove nothing: they may be all that a platform lists late at night."""
BATCH: Final = 64
"""Answers that are read and written together: the whole books of so many are in memory. No result depends on it."""
ANSWER: Final = {"listing_id": pl.Int32, "observed_at": INSTANT}
"""What tells the answers of a platform apart."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a platform's answers of a cycle came to: answers taken in (ANSWER), rows of each of LEDGERS, players named, and as in `Books` the rest."""

    answers: pl.DataFrame
    ledgers: dict[str, pl.DataFrame]
    players: pl.DataFrame
    refused: Sequence[tuple[PayloadKind, Reject, bool]]
    without_price: Sequence[Reject]


def derive_tournaments(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """The cycle's own row, what its discovery was promised and got, and the platforms' tournaments."""
    found = cycle_frames.discoveries(pipeline, manifest, pipeline.platforms)
    seen = cycle_frames.listings_of_cycle(pipeline, manifest, found)
    pipeline.seen_listings.keep(manifest.cycle_id, manifest.digest, pipeline.platforms, seen)
    tournaments = cycle_frames.tournaments_frame(found, seen)
    facts = cycle_frames.cycle_facts(pipeline, manifest)
    listings.write_discovery(conn, facts, cycle_frames.manifest_frame(found), tournaments, pipeline.platforms)
    unread = [entry for discovery, _ in found.values() for entry in discovery.rejects]
    refused = [(PayloadKind.LISTING, entry, False) for entry in (*unread, *refuse_kickoffs(cycle_frames.seen_in_discovery(found)))]
    rejected_answers.replace_rejects(conn, manifest.cycle_id, cycle_frames.DISCOVERY, refused)
    return tournaments.height


def derive_events(platforms_of: Callable[[Pipeline, Manifest], Sequence[Platform]]) -> Derive:
    """Listings of the platforms that `platforms_of` names, as discovered and as their own answers state them."""

    def derive(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
        platforms = platforms_of(pipeline, manifest)
        seen = pipeline.seen_listings.take(manifest.cycle_id, manifest.digest, platforms)
        if seen is None:  # another process, or an earlier run, has derived the tournaments
            seen = cycle_frames.listings_of_cycle(pipeline, manifest, cycle_frames.discoveries(pipeline, manifest, platforms), platforms)
        written = listings.write_listings(conn, manifest.cycle_id, seen, platforms)
        upcoming_fixtures.remember(conn, pipeline.clock.now())
        return written.height

    return derive


def trusted(pipeline: Pipeline, manifest: Manifest) -> tuple[Platform, ...]:
    """The platforms in order of trust: the cycle's home first."""
    return trust_order(manifest.home_platform, pipeline.platforms)


derive_home_events = derive_events(lambda pipeline, manifest: trusted(pipeline, manifest)[:1])
derive_competitor_events = derive_events(lambda pipeline, manifest: trusted(pipeline, manifest)[1:])


def derive_odds(platform: Platform) -> Derive:
    """Every detail answer of the platform as a capture, and the markets that changed since the answer before; what no vocabulary knows is counted.

    What the cycle wrote of the platform when it was last derived and does not say now is taken out again.
    """

    def derive(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
        cycle_id, lock_key = manifest.cycle_id, list(Platform).index(platform)
        history.lock(conn, lock_key)
        partitions.hold(conn)  # else retention might drop a day of the past between making it and writing to it
        _make_partitions(pipeline, manifest, platform)
        stale = history.answers_of_cycle(conn, cycle_id, platform)
        sizes = book_sizes.of_cycle(conn, cycle_id, platform)
        books = _write_books(pipeline, conn, cycle_id, platform, cycle_frames.books(pipeline, manifest, platform, BATCH))
        gone = stale.join(books.answers, on=list(ANSWER), how="anti")
        history.remove(conn, gone, lock_key)
        rejected_answers.replace_rejects(conn, cycle_id, [PayloadKind.DETAIL], books.refused, [platform])
        refused = [entry for _, entry, whole in books.refused if whole]
        _note_refusals(pipeline, conn, manifest, platform, books.answers.height, refused, books.without_price)
        for table, frame in books.ledgers.items():
            cycle_marts.replace(conn, table, cycle_id, frame, platform)
        # From here on other platforms and cycles wait: what all of them write to comes last.
        listings.refresh_priced(conn, sorted({*books.answers["listing_id"], *gone["listing_id"]}))
        players.write_players(conn, cycle_id, platform, books.players)
        _unmark_coverage(conn, cycle_id, sizes, book_sizes.of_cycle(conn, cycle_id, platform))
        return history.rows_of_cycle(conn, cycle_id, platform)

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
    """Tell the ledger how many of the platform's answers could not be used. `n_read` includes those `without_price`.

    Single matches begin early and single books are suspended: that is no refusal. Where it is most of what a full cycle got, the platform has changed
    its answers, and such answers count as refused.
    """
    unread = [entry for entry in refused if not entry.is_in_play]
    doubtful = [*(entry for entry in refused if entry.is_in_play), *without_price]
    if manifest.scope is Scope.FULL and len(doubtful) >= MIN_DOUBTFUL and 2 * len(doubtful) > n_read + len(refused):
        unread += doubtful
        n_read -= len(without_price)
    batches.note_refusals(
        conn,
        manifest.cycle_id,
        platform,
        n_read=n_read,
        n_refused=len(unread),
        example=f"{unread[0].path}: {unread[0].reason}" if unread else "",
        max_refused_share=pipeline.settings.max_refused_share,
    )


def _unmark_coverage(conn: psycopg.Connection, cycle_id: int, before: pl.DataFrame, after: pl.DataFrame) -> None:
    """Make coverage of later cycles due again if the cycle's books changed in size: the choice of primary listings depends on them."""
    names = list(book_sizes.SIZES)
    changed = pl.concat([before.join(after, on=names, how="anti"), after.join(before, on=names, how="anti")])
    since = changed["observed_at"].min()
    if isinstance(since, datetime):
        listings_changed = changed["listing_id"].unique().to_list()
        derived_products.unmark_resting_on_books(conn, derived_products.COVERAGE, cycle_id, listings_changed, since, universe.CARRY_LIMIT)


def _make_partitions(pipeline: Pipeline, manifest: Manifest, platform: Platform) -> None:
    """Partitions for the days of the answers, on a connection of their own: their lock is not kept while the cycle is written.

    A day of which the archive alone has rows is brought back first: else what is written now would be taken for all of it.
    """
    observed = pipeline.landing.read(manifest, kinds=[PayloadKind.DETAIL], platforms=[platform], columns=["observed_at"])["observed_at"]
    days = observed.dt.date().unique().to_list()
    past = {day for day in days if day < pipeline.clock.now().date()}
    with pipeline.connect() as own:
        for day in sorted(past.difference(partitions.written(own, past))):
            exported = pipeline.archive.day(day)
            if exported is None:
                _demand_never_exported(pipeline, own, day)
            elif exported.n_captures:
                pipeline.archive.restore(own, day)
                own.commit()
        partitions.ensure(own, days)


def _demand_never_exported(pipeline: Pipeline, conn: psycopg.Connection, day: date) -> None:
    """Raise ArchiveError when a day that the archive does not have was exported: what is written to it now would be taken for all of it."""
    recorded = recorded_days(conn).get(day)
    if recorded is not None and recorded.n_captures:
        raise ArchiveError(
            f"{day} was exported at {recorded.exported_at:%Y-%m-%d %H:%M} UTC with {recorded.n_captures} answers, and the export at "
            f"{pipeline.archive.address} does not have it: nothing is written to the day. `palimpsest doctor` says what to do."
        )


def _write_books(pipeline: Pipeline, conn: psycopg.Connection, cycle_id: int, platform: Platform, parts: Iterator[Books]) -> Written:
    """A platform's answers, taken in by batches, so that memory does not grow with the cycle."""
    given: list[pl.DataFrame] = []
    read: list[Books] = []
    for books in _batches(parts):
        ids = listings.listing_ids(conn, books.answers.select("platform", "external_id").unique()).cast({"listing_id": pl.Int32})
        answers = books.answers.join(ids, on=("platform", "external_id"), how="left", maintain_order="left")
        _write_batch(pipeline, conn, cycle_id, platform, answers, books.rows)
        given.append(answers)
        read.append(replace(books, rows=NO_BOOKS.rows))  # they are written by now; the rest is counted over the whole cycle, and is small
    if not read:
        nothing = {table: pl.DataFrame(schema=cycle_marts.frame_schema(table)).drop("cycle_id") for table in LEDGERS}
        return Written(pl.DataFrame(schema=ANSWER), nothing, pl.DataFrame(schema=players.PLAYER_SCHEMA), (), ())
    whole = concat_books(read)
    taken = _last(whole.answers.with_columns(pl.concat([answers["listing_id"] for answers in given])))
    named = whole.players.rename({"outcome": "external_player_id"})
    return Written(
        taken.select(*ANSWER),
        {table: rows_of(whole, taken) for table, rows_of in LEDGERS.items()},
        named.join(taken, on="capture").select(pl.col(name).cast(kind) for name, kind in players.PLAYER_SCHEMA.items()),
        whole.refused,
        whole.without_price,
    )


def _batches(parts: Iterator[Books]) -> Iterator[Books]:
    """The books in batches of BATCH answers or a little more; also those of answers that were all refused."""
    waiting: list[Books] = []
    for part in parts:
        waiting.append(part)
        if sum(books.answers.height for books in waiting) >= BATCH:
            yield concat_books(waiting)
            waiting = []
    if waiting:
        yield concat_books(waiting)


def _last(answers: pl.DataFrame) -> pl.DataFrame:
    """Of several answers about one listing at one instant, the one that was taken in last."""
    return answers.sort("capture").unique(list(ANSWER), keep="last", maintain_order=True)


def _write_batch(pipeline: Pipeline, conn: psycopg.Connection, cycle_id: int, platform: Platform, answers: pl.DataFrame, rows: pl.DataFrame) -> None:
    """Takes a batch of answers (ANSWERS and listing_id) into the history."""
    captures = _last(answers).select("capture", *ANSWER, *COUNTS)
    history.ingest(
        conn,
        captures.drop("capture"),
        rows.join(captures.select("capture", *ANSWER), on="capture").drop("capture"),
        cycle_id=cycle_id,
        mapping_version=pipeline.vocabulary.version,
        ingested_at=pipeline.clock.now(),
        lock_key=list(Platform).index(platform),
    )


def derive_matched(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """Fixtures and tournaments joined anew from all listings that bear on the cycle's, and the players of the fixtures touched: order of arrival
    cannot matter. Fixtures that the cycle looked at, and their kickoff dates, are due to be derived anew.

    These tables show the present, so the home platform of the settings is trusted first, whichever was home when the cycle was scraped.
    """
    trust = trust_order(pipeline.settings.home_platform, pipeline.platforms)
    of_cycle = known_listings.listings_of_cycle(conn, manifest.cycle_id)
    touched = matched.touched_for_matching(conn, of_cycle)
    identified = identify(book_sizes.with_largest_books(conn, touched, rivals(touched)))
    tournaments, links = crosswalk(identified, trust)
    found = fixtures(identified, links, trust)
    stood = lifecycle.kickoff_dates(conn, identified["listing_id"])
    moved = matched.write_matching(conn, identified, found, tournaments, links)
    upcoming_fixtures.remember(conn, pipeline.clock.now())
    lifecycle.mark_dirty(conn, manifest.cycle_id, sorted(moved), stood)
    dirty_fixtures.mark(conn, manifest.cycle_id, sorted(moved))
    looked_at = sorted(moved.union(identified.filter(pl.col("listing_id").is_in(of_cycle))["fixture_sr_id"].drop_nulls()))
    players.write_links(conn, looked_at, player_links(players.players_of_fixtures(conn, looked_at)))
    return found.height
