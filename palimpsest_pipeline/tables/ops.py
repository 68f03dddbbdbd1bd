"""Tables of the schema ops: the ledger of cycles and requests, and ids that a replay must keep."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from palimpsest_pipeline.domain.enums import FailureClass, Platform, RunStatus, Scope, Severity, Trigger

from .declarative_base import (
    BigInt,
    BigIntArray,
    Instant,
    Json,
    OpsTable,
    SmallInt,
    SmallIntArray,
    Text,
    TextArray,
    column,
    key,
)


class PlatformRow(OpsTable):
    """The platforms, including those that are no longer scraped.

    After the home platform the one with the lowest trust_rank is trusted first in names, country and kickoff.
    """

    __tablename__ = "platforms"

    platform: Mapped[Platform] = key("Platform.")
    name: Mapped[Text] = column("Display name.")
    trust_rank: Mapped[SmallInt] = column("Number of trust in its pack; the lowest is trusted first.")


class ScrapeBatch(OpsTable):
    """One row per cycle (one scrape of all platforms) with its trigger, scope and status."""

    __tablename__ = "scrape_batches"
    schema_items = (
        sa.Index(None, "partition_hour"),
        sa.Index(None, "run_id"),
        sa.Index(None, "slot_at", postgresql_where=sa.text("slot_at is not null")),
        sa.Index("ix_scrape_batches_running", "scope", postgresql_where=sa.text("status = 'running'")),
    )

    cycle_id: Mapped[BigInt] = key(
        "Id of the cycle: the digits of its UTC start time to the millisecond, so ids sort by time."
    )
    trigger: Mapped[Trigger] = column("Trigger: scheduled, sensor, manual, on_demand or import.")
    scope: Mapped[Scope] = column(
        "Scope of the cycle: full, kickoff, events or recorded. Only full cycles have a discovery."
    )
    sr_ids: Mapped[BigIntArray | None] = column("Requested SportRadar ids, when the scope is kickoff or events.")
    slot_at: Mapped[Instant | None] = column(
        "Slot of the kickoff cadence for which the cycle was started; null in other scopes."
    )
    home_platform: Mapped[Platform] = column(
        "Home platform in the settings at that time.", foreign_key="ops.platforms.platform"
    )
    platforms: Mapped[TextArray] = column(
        "Platforms that the cycle covers; empty in cycles of older versions, which had three.", server_default="{}"
    )
    partition_hour: Mapped[Instant] = column("UTC hour (Dagster partition) of the cycle.")
    run_id: Mapped[Text | None] = column("Dagster run that scraped it.")
    status: Mapped[RunStatus] = column(
        "running; completed: all platforms; partial: some; failed: none; cancelled: stopped on request; "
        "interrupted: its process died."
    )
    started_at: Mapped[Instant] = column("Start of the cycle.")
    heartbeat_at: Mapped[Instant] = column("Last heartbeat of the process that runs the cycle.")
    finished_at: Mapped[Instant | None] = column(
        "End of the cycle, or the last heartbeat of an interrupted one; null while it runs."
    )


class ScrapeRun(OpsTable):
    """One row per cycle and platform: the platform's part of the batch."""

    __tablename__ = "scrape_runs"

    cycle_id: Mapped[BigInt] = key("Cycle (batch) of the run.", foreign_key="ops.scrape_batches.cycle_id")
    platform: Mapped[Platform] = key("Platform.", foreign_key="ops.platforms.platform")
    status: Mapped[RunStatus] = column("Status as of the batch; running until the platform's part is finished.")
    started_at: Mapped[Instant] = column("Time of the first request.")
    finished_at: Mapped[Instant] = column("Time of the last answer; while the cycle runs, of the last answer so far.")
    discovered: Mapped[int] = column("Match listings that discovery saw (0 in a cycle without a discovery).")
    targets: Mapped[int] = column("Listings that capture requested.")
    fetched: Mapped[int] = column("Listings with a usable answer.")
    requests: Mapped[int] = column("Requests sent, retries included.")
    bytes: Mapped[BigInt] = column("Body bytes received, after decompression.")
    errors_by_class: Mapped[Json] = column("Failed attempts by failure class.")
    p50_ms: Mapped[float | None] = column("Median request duration in ms; null without a request.")
    p95_ms: Mapped[float | None] = column("95th percentile of request duration in ms.")
    message: Mapped[Text] = column("Reason why it is not completed, in words; empty when it is.")
    clock_offset_s: Mapped[float | None] = column(
        "Seconds by which the host's clock is ahead of ours, the median of its answers; null when no answer has a time."
    )
    capture_s: Mapped[float | None] = column(
        "Seconds from the first request of the capture to its last answer; null without a capture."
    )
    floor_s: Mapped[float | None] = column(
        "Shortest time in seconds in which the host's budget allows these requests with their measured durations; "
        "null like capture_s."
    )
    refused: Mapped[int] = column(
        "Answers that core refused, without those of matches in play; 0 before the cycle is derived.",
        server_default="0",
    )
    refusal: Mapped[Text] = column(
        "Sentence about refused answers at the end of message; empty while few were refused.", server_default=""
    )


class EventScrapeStatus(OpsTable):
    """One row per cycle and requested listing, with the result of the request for its odds."""

    __tablename__ = "event_scrape_status"
    schema_items = (
        sa.Index(None, "sr_id", "cycle_id"),
        sa.Index(
            "ix_event_scrape_status_failed", "platform", "external_id", postgresql_where=sa.text("status = 'failed'")
        ),
    )

    cycle_id: Mapped[BigInt] = key("Cycle.", foreign_key="ops.scrape_batches.cycle_id")
    platform: Mapped[Platform] = key("Platform.", foreign_key="ops.platforms.platform")
    external_id: Mapped[Text] = key("The platform's own event id.")
    sr_id: Mapped[BigInt | None] = column("SportRadar id of the fixture, if known.")
    status: Mapped[RunStatus] = column(
        "completed; failed; cancelled: the cycle was stopped before the verdict; interrupted: its process died "
        "before the verdict was landed."
    )
    attempts: Mapped[int] = column("Requests sent for the listing.")
    error_class: Mapped[FailureClass | None] = column(
        "Failure class of the last attempt; null when completed, or when the cycle ended before one had failed."
    )
    error_detail: Mapped[Text] = column("Description of the error; empty when completed.")
    http_status: Mapped[int | None] = column("HTTP status of the last attempt; null without an answer.")
    requested_at: Mapped[Instant] = column("Start of the first attempt.")
    received_at: Mapped[Instant] = column(
        "Arrival time of the last body byte, or the time at which the failure was known."
    )
    bytes: Mapped[BigInt] = column("Body bytes after decompression.")
    duration_ms: Mapped[float] = column(
        "Milliseconds from the first request to the verdict, including waits between attempts."
    )
    observed_at: Mapped[Instant | None] = column(
        "Time that the good answer shows: received_at less its age in an edge cache; null when not completed."
    )


class LandedCycle(OpsTable):
    """One row per closed cycle that is, or was, in the landing.

    Rebuilt from the landing by `palimpsest landing rescan`.
    """

    __tablename__ = "landed_cycles"
    schema_items = (sa.Index(None, "partition_hour"),)

    cycle_id: Mapped[BigInt] = key("Cycle.")
    partition_hour: Mapped[Instant] = column("UTC hour of the cycle: its folder in the landing.")
    scope: Mapped[Scope | None] = column("Scope of the cycle; null when its manifest cannot be read.")
    platforms: Mapped[TextArray] = column("Platforms that the cycle covers.")
    digest: Mapped[Text | None] = column(
        "Digest of its landing manifest; null when the cycle is gone or its manifest cannot be read."
    )
    is_whole: Mapped[bool] = column(
        "True when its manifest and every segment that it names exist, so that it can be derived."
    )
    is_gone: Mapped[bool] = column(
        "True when the cycle is no longer in the landing: its hour has expired, or somebody removed it."
    )
    problem: Mapped[Text] = column("Reason why a cycle in the landing is not whole, in words; otherwise empty.")


class CycleFailure(OpsTable):
    """Products of cycles whose last derivation failed. A row is deleted when the product has been derived."""

    __tablename__ = "cycle_failures"

    cycle_id: Mapped[BigInt] = key("Cycle.")
    product: Mapped[Text] = key("Product that could not be derived, as in the tables cycle_products of core and mart.")
    landing_digest: Mapped[Text | None] = column("Digest of the landing manifest used; null when it was gone.")
    parser_version: Mapped[Text] = column("Version of the parsers used.")
    mapping_version: Mapped[Text] = column("Version of the market vocabulary used.")
    error: Mapped[Text] = column("Class and message of the error, without secrets.")
    failed_at: Mapped[Instant] = column("When it last failed.")


class ListingId(OpsTable):
    """Integer id of each listing's natural key.

    Ids survive every replay, so that history rows keep their meaning.
    """

    __tablename__ = "listing_ids"
    schema_items = (sa.UniqueConstraint("platform", "external_id"),)

    listing_id: Mapped[int] = key("Listing.", autoincrement=True)
    platform: Mapped[Platform] = column("Platform.", foreign_key="ops.platforms.platform")
    external_id: Mapped[Text] = column("The platform's own event id.")


class MarketLine(OpsTable):
    """Integer id of each line, which is a market with one specifier.

    Ids survive every replay, so that history rows keep their meaning.
    """

    __tablename__ = "market_lines"
    schema_items = (sa.UniqueConstraint("market_id", "specifier", "outcome"),)

    line_id: Mapped[int] = key("Id of a line, which is a market with one specifier.", autoincrement=True)
    market_id: Mapped[SmallInt] = column("Canonical market.")
    specifier: Mapped[Text] = column("Canonical specifier, e.g. total=2.5; '' when the market has none.")
    outcome: Mapped[Text] = column(
        "'' for a whole market; the outcome's name where a market has open outcomes (one line per outcome)."
    )


class LineNames(OpsTable):
    """Names of each line's market and outcomes, copied from the vocabulary.

    Views join this one table instead of ops.market_lines, core.markets and core.market_outcomes: for a small query,
    Postgres takes longer to plan the three joins than to run it.
    """

    __tablename__ = "line_names"
    schema_items = (sa.Index(None, "market_key"),)

    line_id: Mapped[int] = key("Line, which is a market with one specifier: ops.market_lines.")
    winners_k: Mapped[SmallInt | None] = column("Number of outcomes of the market that win; null when unknown.")
    market_key: Mapped[Text] = column("Market of the vocabulary.")
    market: Mapped[Text] = column("Its display name.")
    specifier: Mapped[Text] = column("Canonical specifier, e.g. total=2.5; '' when the market has none.")
    outcome_keys: Mapped[TextArray] = column(
        "Keys of the outcomes, in the order of price arrays. A line of a single outcome has one, or none if the "
        "vocabulary does not list it."
    )
    outcomes: Mapped[TextArray] = column("Display names of the outcomes, in the same order.")
    outcome_orders: Mapped[SmallIntArray] = column("Ordinals of the outcomes in the vocabulary, in the same order.")


class StorageSample(OpsTable):
    """Measured sizes of each table, and of each day of the odds history."""

    __tablename__ = "storage_samples"

    sampled_at: Mapped[Instant] = key("When it was measured.")
    table_name: Mapped[Text] = key("Table with its schema; 'landing' and 'export' for files.")
    day: Mapped[date] = key("UTC day of the rows; for a table without days, the day of sampled_at.")
    n_rows: Mapped[BigInt] = column(
        "Number of rows: counted for a day of history, otherwise the planner's estimate; for files, the answers "
        "or rows in them."
    )
    n_prices: Mapped[BigInt | None] = column("Number of prices in them; null when the rows have no prices.")
    heap_bytes: Mapped[BigInt] = column(
        "Bytes of the rows, including values stored out of line; for files, their size."
    )
    index_bytes: Mapped[BigInt] = column("Bytes of the indexes.")


class RecordedExport(OpsTable):
    """UTC days of the odds history that were exported. The archive must have each of them."""

    __tablename__ = "exported_days"

    day: Mapped[date] = key("UTC day.")
    exported_at: Mapped[Instant] = column("When it was last exported.")
    n_captures: Mapped[BigInt] = column("Answers of the day in the archive.")


class HostState(OpsTable):
    """Host problems that concurrent cycles share.

    One row per host with a problem and cycle that reported it.
    """

    __tablename__ = "host_state"

    host: Mapped[Text] = key("Host name.")
    cycle_id: Mapped[BigInt] = key("Cycle that reported the problem.")
    blocked_until: Mapped[Instant] = column("No request is sent to this host before then.")
    reason: Mapped[Text] = column("Reason in words.")
    updated_at: Mapped[Instant] = column("When this was last written.")


class KnownKickoff(OpsTable):
    """Kickoffs that the kickoff cadence knew, with the time from which it knew them.

    No replay changes past rows.
    """

    __tablename__ = "known_kickoffs"
    schema_items = (sa.Index(None, "kickoff_at"),)

    sr_id: Mapped[BigInt] = key("SportRadar id of the fixture.")
    known_from: Mapped[Instant] = key("When core learned this kickoff. It holds until the fixture's next row.")
    kickoff_at: Mapped[Instant | None] = column(
        "Effective kickoff of the fixture; null when no platform lists it any more, or when its kickoff moved "
        "into the past."
    )


class RunHeartbeat(OpsTable):
    """One row per Dagster run that executes this pipeline's code, with the heartbeat of its process.

    Kept for some days.
    """

    __tablename__ = "run_heartbeats"
    schema_items = (
        sa.Index("ix_run_heartbeats_alive", "heartbeat_at", postgresql_where=sa.text("finished_at is null")),
    )

    run_id: Mapped[Text] = key("Id of the Dagster run.")
    job: Mapped[Text] = column("Name of its job.")
    host: Mapped[Text] = column("Machine that executes it.")
    pid: Mapped[int] = column("Process that executes it.")
    started_at: Mapped[Instant] = column("Start of the execution.")
    heartbeat_at: Mapped[Instant] = column("Last heartbeat of the process.")
    finished_at: Mapped[Instant | None] = column("End of the execution; null while it runs, or when its process died.")
    machine: Mapped[Text | None] = column(
        "The machine, its boot and its process namespace, within which the pid is unique; null when not known."
    )


class Alert(OpsTable):
    """One row per problem for which alerts are sent, from its first occurrence to its end."""

    __tablename__ = "alerts"
    schema_items = (
        sa.Index("ix_alerts_open", "alert_key", unique=True, postgresql_where=sa.text("closed_at is null")),
    )

    alert_key: Mapped[Text] = key("Identity of the problem, without its occurrences: <kind>/<subject>/<error class>.")
    opened_at: Mapped[Instant] = key("Time of the first occurrence.")
    severity: Mapped[Severity] = column("Highest severity so far.")
    subject: Mapped[Text] = column("Subject of the problem: a job, the asset of a product, or a check with its asset.")
    error_class: Mapped[Text] = column("Class of the error.")
    message: Mapped[Text] = column("Problem and remedy in words, from the last occurrence.")
    partition_key: Mapped[Text | None] = column(
        "Days or cycles with the problem, separated by commas; only the latest for a job that runs day after day; "
        "null without any."
    )
    n_seen: Mapped[int] = column("Number of occurrences.")
    last_seen_at: Mapped[Instant] = column("Time of the last occurrence.")
    told_by: Mapped[TextArray] = column("Channels that have announced its start.")
    told_at: Mapped[Instant | None] = column("When all channels had announced its start; null until then.")
    closed_at: Mapped[Instant | None] = column("When the problem ended; null while it lasts.")
    closing_told_by: Mapped[TextArray] = column("Channels that have announced its end.")
    closing_told_at: Mapped[Instant | None] = column("When all channels had announced its end; null until then.")


class CycleCheck(OpsTable):
    """The newest verdict of each check on each cycle."""

    __tablename__ = "cycle_checks"
    schema_items = (
        sa.Index("ix_cycle_checks_judged", "check_name", "judged_at"),
        sa.Index("ix_cycle_checks_bad", "cycle_id", postgresql_where=sa.text("violations > 0")),
    )

    check_name: Mapped[Text] = key("Asset and check, such as core/odds_snapshots:history_equals_current.")
    cycle_id: Mapped[BigInt] = key("Cycle.")
    severity: Mapped[Severity] = column("Severity of the violations. It has no meaning without violations.")
    violations: Mapped[int] = column("Number of violations; 0: the cycle has passed.")
    description: Mapped[Text] = column("The problem and what to do about it; empty when the cycle has passed.")
    judged_at: Mapped[Instant] = column("When the check last judged the cycle.")


class AcknowledgedOddsAlert(OpsTable):
    """Episodes of mart.odds_alert that somebody has acknowledged. No derivation changes it."""

    __tablename__ = "acknowledged_odds_alerts"

    alert_id: Mapped[BigInt] = key("Id of the episode.")
    acknowledged_at: Mapped[Instant] = column("When the episode was acknowledged.")
    acknowledged_by: Mapped[Text] = column("Name of the person who acknowledged it, as that person gave it.")
