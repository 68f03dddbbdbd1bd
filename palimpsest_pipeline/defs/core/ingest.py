"""From landing to core: read, normalise, match, write. One function per product of a cycle, inside the caller's transaction. Knows no Dagster."""

from collections.abc import Callable, Sequence
from typing import Final

import polars as pl
import psycopg

from ...domain.exchange import Answer
from ...domain.observations import Detail
from ...domain.trust import trust_order
from ...domain.words import PayloadKind, Platform
from ...landing import Manifest
from ...markets import market_rows, normalise, raw_books
from ...matching import crosswalk, fixtures, identify, player_links
from ...storage import fixtures as matched
from ...storage import history, known, listings, marts, partitions, players, rejects
from ..hourly import Derive
from ..pipeline import Pipeline
from . import ledger, readings

LEDGERS: Final = {"core.unmapped_markets": ledger.unmapped_rows, "core.mapping_counts": ledger.mapping_counts}
"""What the vocabulary said of a cycle's answers: tables that are replaced cycle by cycle, and what makes their rows."""


def derive_tournaments(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """The cycle's own row, what its discovery was promised and got, and the platforms' tournaments."""
    found = readings.discoveries(pipeline, manifest, pipeline.platforms)
    seen = readings.seen_in_discovery(found) + readings.listings_of_details(pipeline, manifest, pipeline.platforms)
    tournaments = readings.tournaments_frame(found, seen)
    facts = readings.cycle_facts(pipeline, manifest)
    listings.write_discovery(conn, facts, readings.manifest_frame(found), tournaments, pipeline.platforms)
    refused = [(PayloadKind.LISTING, entry, False) for discovery, _ in found.values() for entry in discovery.rejects]
    rejects.replace_rejects(conn, manifest.cycle_id, readings.DISCOVERY, refused)
    return tournaments.height


def derive_events(platforms_of: Callable[[Pipeline, Manifest], Sequence[Platform]]) -> Derive:
    """Listings of the platforms that `platforms_of` names, as discovered and as their own answers state them."""

    def derive(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
        platforms = platforms_of(pipeline, manifest)
        discovered = readings.seen_in_discovery(readings.discoveries(pipeline, manifest, platforms))
        seen = discovered + readings.listings_of_details(pipeline, manifest, platforms)
        return listings.write_listings(conn, manifest.cycle_id, readings.listings_frame(seen), platforms).height

    return derive


def trusted(pipeline: Pipeline, manifest: Manifest) -> tuple[Platform, ...]:
    """The platforms in order of trust: the cycle's home first."""
    return trust_order(manifest.home_platform, pipeline.platforms)


derive_home_events = derive_events(lambda pipeline, manifest: trusted(pipeline, manifest)[:1])
derive_competitor_events = derive_events(lambda pipeline, manifest: trusted(pipeline, manifest)[1:])


def derive_odds(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """Every detail answer as a capture, and the markets that changed since the answer before; what no vocabulary knows is counted.

    What the cycle wrote when it was last derived and does not say now is taken out again.
    """
    cycle_id = manifest.cycle_id
    _make_partitions(pipeline, manifest)
    written, refused = 0, []
    kept = {table: [pl.DataFrame(schema=marts.frame_schema(table)).drop("cycle_id")] for table in LEDGERS}
    named = [pl.DataFrame(schema=players.PLAYER_SCHEMA)]
    touched: set[int] = set()
    for platform in pipeline.platforms:
        details, not_read = readings.books(pipeline, manifest, platform)
        refused += not_read
        stale = history.answers_of_cycle(conn, cycle_id, platform)
        if details:
            rows, answered, ledgers, who = _write_books(pipeline, conn, cycle_id, platform, details)
            written += rows
            for table, frame in ledgers.items():
                kept[table].append(frame.select(kept[table][0].columns))
            named.append(who)
            stale = stale.join(answered, on=answered.columns, how="anti")
            touched.update(answered["listing_id"])
        history.remove(conn, stale, lock_key=list(Platform).index(platform))
        touched.update(stale["listing_id"])
    rejects.replace_rejects(conn, cycle_id, [PayloadKind.DETAIL], refused)
    for table, frames in kept.items():
        marts.replace(conn, table, cycle_id, pl.concat(frames))
    listings.refresh_priced(conn, sorted(touched))
    players.write_players(conn, cycle_id, pl.concat(named))
    return written


def _make_partitions(pipeline: Pipeline, manifest: Manifest) -> None:
    """Partitions for the days of the cycle's answers, on a connection of their own: their lock is not kept while the cycle is written."""
    observed = pipeline.landing.read(manifest, kinds=[PayloadKind.DETAIL], columns=["observed_at"])["observed_at"]
    with pipeline.connect() as own:
        partitions.ensure(own, observed.dt.date().unique().to_list())


def _write_books(
    pipeline: Pipeline, conn: psycopg.Connection, cycle_id: int, platform: Platform, details: Sequence[tuple[Answer, Detail]]
) -> tuple[int, pl.DataFrame, dict[str, pl.DataFrame], pl.DataFrame]:
    """Rows of history written, the answers taken in (listing_id, observed_at), the platform's rows of each of LEDGERS, and the players named."""
    normal = normalise(raw_books([d for _, d in details]), pipeline.vocabulary)
    rows = market_rows(normal.prices, pipeline.vocabulary)
    answers = pl.DataFrame(
        {
            "capture": range(len(details)),
            "platform": [str(platform)] * len(details),
            "sport": [str(d.listing.sport) for _, d in details],
            "external_id": [d.listing.external_id for _, d in details],
            "observed_at": [a.observed_at for a, _ in details],
        },
        schema={"capture": pl.UInt32, "platform": pl.String, "sport": pl.String, "external_id": pl.String, "observed_at": pl.Datetime("us", "UTC")},
    )
    index = listings.listing_ids(conn, answers).select("capture", "listing_id", "observed_at")
    priced = rows.group_by("capture").agg(
        n_markets_priced=pl.struct("market_id", "specifier").filter(pl.col("state") == "offered").n_unique(),
        n_prices=pl.col("odds_milli").list.drop_nulls().list.len().sum(),
    )
    listed = normal.coverage.group_by("capture").agg(
        n_markets_listed=pl.col("n_markets").sum(), n_markets_mapped=pl.col("n_markets").filter(pl.col("error_class") == "").sum()
    )
    merged = normal.merged.rename({"n_prices": "n_prices_merged"})
    counted = index.join(listed, on="capture", how="left").join(priced, on="capture", how="left").join(merged, on="capture", how="left")
    key = ["listing_id", "observed_at"]
    captures = (
        counted.with_columns(pl.col("listing_id").cast(pl.Int32), pl.selectors.starts_with("n_").fill_null(0).cast(pl.Int32))
        .sort("capture")
        .unique(key, keep="last", maintain_order=True)
    )
    stats = history.ingest(
        conn,
        captures.drop("capture"),
        rows.join(captures.select("capture", *key), on="capture").drop("capture"),
        cycle_id=cycle_id,
        mapping_version=pipeline.vocabulary.version,
        ingested_at=pipeline.clock.now(),
        lock_key=list(Platform).index(platform),
    )
    taken = answers.select("capture", "platform", "sport").join(captures.select("capture", *key), on="capture")
    ledgers = {table: rows_of(normal, taken) for table, rows_of in LEDGERS.items()}
    who = normal.players.join(index, on="capture").rename({"outcome": "external_player_id"}).select(players.PLAYER_SCHEMA.keys())
    return stats.n_rows_written, captures.select(key), ledgers, who


def derive_matched(pipeline: Pipeline, conn: psycopg.Connection, manifest: Manifest) -> int:
    """Fixtures and tournaments joined anew from all listings that bear on the cycle's, and the players of the fixtures touched: order of arrival
    cannot matter."""
    trust = trusted(pipeline, manifest)
    of_cycle = known.listings_of_cycle(conn, manifest.cycle_id)
    identified = identify(matched.touched_for_matching(conn, of_cycle))
    tournaments, links = crosswalk(identified, trust)
    found = fixtures(identified, links, trust)
    moved = matched.write_matching(conn, identified, found, tournaments, links)
    touched = sorted(moved.union(identified.filter(pl.col("listing_id").is_in(of_cycle))["fixture_sr_id"].drop_nulls()))
    players.write_links(conn, touched, player_links(players.players_of_fixtures(conn, touched)))
    return found.height
