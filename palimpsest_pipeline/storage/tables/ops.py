"""Ops: the ledger of cycles and requests, per platform and listing, and the ids that replays keep."""

from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from palimpsest_pipeline.domain.enums import FailureClass, Platform, RunStatus, Scope, Severity, Trigger

from .base import PLATFORM, Base, BigInt, BigIntArray, Instant, Json, SmallInt, Text, TextArray, column, key, text_enum


class PlatformRow(Base):
    __tablename__ = "platforms"
    __table_args__ = (
        {
            "schema": "ops",
            "comment": "The platforms, also those that are no longer asked. After the home platform the one with the "
            "lowest trust_rank is trusted first in names, country and kickoff.",
        },
    )

    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM)
    name: Mapped[Text] = column("Name for people.")
    trust_rank: Mapped[SmallInt] = column("Trust by its pack: the lower, the more.")


class ScrapeBatch(Base):
    __tablename__ = "scrape_batches"
    __table_args__ = (
        sa.Index(None, "partition_hour"),
        sa.Index(None, "run_id"),
        sa.Index(None, "slot_at", postgresql_where=sa.text("slot_at is not null")),
        sa.Index("ix_scrape_batches_running", "scope", postgresql_where=sa.text("status = 'running'")),
        {
            "schema": "ops",
            "comment": "One row per cycle (one scrape of all platforms): what started it, what it covers, how it "
            "ended.",
        },
    )

    cycle_id: Mapped[BigInt] = key("Cycle: UTC digits of its begin down to the millisecond, so ids sort by time.")
    trigger: Mapped[Trigger] = column("What started it.", type_=text_enum(Trigger))
    scope: Mapped[Scope] = column("What it covers. Only full cycles discover.", type_=text_enum(Scope))
    sr_ids: Mapped[BigIntArray | None] = column("SportRadar ids asked for, when the scope is kickoff or events.")
    slot_at: Mapped[Instant | None] = column("Slot of the kickoff cadence that it was begun for; null in other scopes.")
    home_platform: Mapped[Platform] = column(
        "Home platform in force.", type_=PLATFORM, foreign_key="ops.platforms.platform"
    )
    platforms: Mapped[TextArray] = column(
        "Platforms that it covers; empty in cycles of versions that knew three.", server_default="{}"
    )
    partition_hour: Mapped[Instant] = column("UTC hour (Dagster partition) the cycle belongs to.")
    run_id: Mapped[Text | None] = column("Dagster run that scraped it.")
    status: Mapped[RunStatus] = column(
        "running; completed: all platforms; partial: some; failed: none; cancelled: somebody ended it; interrupted: "
        "its process died.",
        type_=text_enum(RunStatus),
    )
    started_at: Mapped[Instant] = column("Begin of the cycle.")
    heartbeat_at: Mapped[Instant] = column("Last sign of life of the process that runs it.")
    finished_at: Mapped[Instant | None] = column(
        "End of the cycle, of an interrupted one its last sign of life; null while it runs."
    )


class ScrapeRun(Base):
    __tablename__ = "scrape_runs"
    __table_args__ = (
        {"schema": "ops", "comment": "One row per cycle and platform: that platform's part of the batch."},
    )

    cycle_id: Mapped[BigInt] = key("Cycle (batch) the run belongs to.", foreign_key="ops.scrape_batches.cycle_id")
    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM, foreign_key="ops.platforms.platform")
    status: Mapped[RunStatus] = column(
        "As of the batch; running until the platform's part is over.", type_=text_enum(RunStatus)
    )
    started_at: Mapped[Instant] = column("First request.")
    finished_at: Mapped[Instant] = column("Last answer; while it runs, the last one so far.")
    discovered: Mapped[int] = column("Match listings that discovery found (0 in a cycle that does not discover).")
    targets: Mapped[int] = column("Listings that capture asked for.")
    fetched: Mapped[int] = column("Listings with a usable answer.")
    requests: Mapped[int] = column("Requests sent, retries included.")
    bytes: Mapped[BigInt] = column("Body bytes received, after decompression.")
    errors_by_class: Mapped[Json] = column("Failed attempts by failure class.")
    p50_ms: Mapped[float | None] = column("Median request duration in ms; null without a request.", type_=sa.Double)
    p95_ms: Mapped[float | None] = column("95th percentile of request duration in ms.", type_=sa.Double)
    message: Mapped[Text] = column("Why it is not completed, in words; empty when it is.")
    clock_offset_s: Mapped[float | None] = column(
        "How far the host's clock is ahead of ours in seconds, the median of its answers; null when none told.",
        type_=sa.Double,
    )
    capture_s: Mapped[float | None] = column(
        "First request of the capture to its last answer in seconds; null without a capture, or written before this "
        "was kept.",
        type_=sa.Double,
    )
    floor_s: Mapped[float | None] = column(
        "Least seconds in which the host's budget allows requests of the durations measured; null like capture_s.",
        type_=sa.Double,
    )
    refused: Mapped[int] = column(
        "Answers that core refused, of those that can be had (matches in play left out); 0 before the cycle is "
        "derived, or before this was kept.",
        server_default="0",
    )
    refusal: Mapped[Text] = column(
        "What message says of refused answers, at its end; empty while few were refused.", server_default=""
    )


class EventScrapeStatus(Base):
    __tablename__ = "event_scrape_status"
    __table_args__ = (
        sa.Index(None, "sr_id", "cycle_id"),
        sa.Index(
            "ix_event_scrape_status_failed", "platform", "external_id", postgresql_where=sa.text("status = 'failed'")
        ),
        {"schema": "ops", "comment": "One row per cycle and listing asked for: how the request for its odds went."},
    )

    cycle_id: Mapped[BigInt] = key("Cycle.", foreign_key="ops.scrape_batches.cycle_id")
    platform: Mapped[Platform] = key("Platform.", type_=PLATFORM, foreign_key="ops.platforms.platform")
    external_id: Mapped[Text] = key("The platform's own event id.")
    sr_id: Mapped[BigInt | None] = column("SportRadar id of the fixture, where known.")
    status: Mapped[RunStatus] = column(
        "completed; failed; cancelled: the cycle was ended before the verdict; interrupted: its process died before "
        "the verdict was landed.",
        type_=text_enum(RunStatus),
    )
    attempts: Mapped[int] = column("Requests sent for it.")
    error_class: Mapped[FailureClass | None] = column(
        "Failure class of the last attempt; null when completed, or when the cycle ended before one had failed.",
        type_=text_enum(FailureClass),
    )
    error_detail: Mapped[Text] = column("What was wrong, in words; empty when completed.")
    http_status: Mapped[int | None] = column("HTTP status of the last attempt; null when no answer came.")
    requested_at: Mapped[Instant] = column("Start of the first attempt.")
    received_at: Mapped[Instant] = column("Last body byte, or the instant the failure was known.")
    bytes: Mapped[BigInt] = column("Body bytes after decompression.")
    duration_ms: Mapped[float] = column(
        "From the first request to the verdict in ms, waits between tries included.", type_=sa.Double
    )
    observed_at: Mapped[Instant | None] = column(
        "Instant that the good answer shows: received_at less its age in an edge cache; null when not completed, or "
        "written before this was kept."
    )


class LandedCycle(Base):
    __tablename__ = "landed_cycles"
    __table_args__ = (
        sa.Index(None, "partition_hour"),
        {
            "schema": "ops",
            "comment": "One row per closed cycle that is, or was, in the landing. Rebuilt from the landing by "
            "`palimpsest landing rescan`.",
        },
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    partition_hour: Mapped[Instant] = column("UTC hour it belongs to: its folder in the landing.")
    scope: Mapped[Scope | None] = column(
        "What it covers; null when its manifest cannot be read.", type_=text_enum(Scope)
    )
    platforms: Mapped[TextArray] = column("Platforms that it covers.")
    digest: Mapped[Text | None] = column(
        "Digest of its landing manifest; null when the cycle is gone or its manifest cannot be read."
    )
    is_whole: Mapped[bool] = column(
        "Its manifest and every segment that it names are there, so that it can be derived."
    )
    is_gone: Mapped[bool] = column("It is no longer in the landing: its hour has expired, or somebody removed it.")
    problem: Mapped[Text] = column("Why it is not whole although it is there, in words; otherwise empty.")


class CycleFailure(Base):
    __tablename__ = "cycle_failures"
    __table_args__ = (
        {
            "schema": "ops",
            "comment": "Products of cycles whose last derivation failed. A row is deleted when the product has been "
            "derived.",
        },
    )

    cycle_id: Mapped[BigInt] = key("Cycle.")
    product: Mapped[Text] = key("Product that could not be derived, as in the cycle_products of core and mart.")
    landing_digest: Mapped[Text | None] = column(
        "Digest of the landing manifest it was tried with; null when it was gone."
    )
    parser_version: Mapped[Text] = column("Version of the parsers it was tried with.")
    mapping_version: Mapped[Text] = column("Version of the market vocabulary it was tried with.")
    error: Mapped[Text] = column("The error: its class and message, without secrets.")
    failed_at: Mapped[Instant] = column("When it failed last.")


class ListingId(Base):
    __tablename__ = "listing_ids"
    __table_args__ = (
        sa.UniqueConstraint("platform", "external_id"),
        {
            "schema": "ops",
            "comment": "Integer id of each listing's natural key. Outlives every replay, so that history rows keep "
            "their meaning.",
        },
    )

    listing_id: Mapped[int] = key("Listing.", autoincrement=True)
    platform: Mapped[Platform] = column("Platform.", type_=PLATFORM, foreign_key="ops.platforms.platform")
    external_id: Mapped[Text] = column("The platform's own event id.")


class MarketLine(Base):
    __tablename__ = "market_lines"
    __table_args__ = (
        sa.UniqueConstraint("market_id", "specifier", "outcome"),
        {
            "schema": "ops",
            "comment": "Integer id of a market on a line. Outlives every replay, so that history rows keep their "
            "meaning.",
        },
    )

    line_id: Mapped[int] = key("Market on a line.", autoincrement=True)
    market_id: Mapped[SmallInt] = column("Canonical market.")
    specifier: Mapped[Text] = column("Canonical specifier, e.g. total=2.5; '' when the market has none.")
    outcome: Mapped[Text] = column(
        "'' for a whole market; the outcome's name where a market has open outcomes (one line an outcome)."
    )


class StorageSample(Base):
    __tablename__ = "storage_samples"
    __table_args__ = (
        {
            "schema": "ops",
            "comment": "How large each table, and each day of the odds history, was when somebody looked.",
        },
    )

    sampled_at: Mapped[Instant] = key("When it was measured.")
    table_name: Mapped[Text] = key("Table with its schema; landing and export for what is in files.")
    day: Mapped[date] = key("UTC day of the rows; the day of sampled_at for a table that is not kept by day.")
    n_rows: Mapped[BigInt] = column(
        "Rows: of a day of history counted, else as the planner estimates; of files the answers or rows in them."
    )
    n_prices: Mapped[BigInt | None] = column("Prices in them; null where rows hold none.")
    heap_bytes: Mapped[BigInt] = column("Bytes of the rows, with what is kept out of line; of files their size.")
    index_bytes: Mapped[BigInt] = column("Bytes of the indexes.")


class RecordedExport(Base):
    __tablename__ = "exported_days"
    __table_args__ = (
        {
            "schema": "ops",
            "comment": "UTC days of the odds history that were exported: the archive must have each of them.",
        },
    )

    day: Mapped[date] = key("UTC day.")
    exported_at: Mapped[Instant] = column("When it was last exported.")
    n_captures: Mapped[BigInt] = column("Answers of the day in the archive.")


class HostState(Base):
    __tablename__ = "host_state"
    __table_args__ = (
        {
            "schema": "ops",
            "comment": "What runs at the same time tell each other about a host: one row per host in trouble and "
            "cycle that found it so.",
        },
    )

    host: Mapped[Text] = key("Host name.")
    cycle_id: Mapped[BigInt] = key("Cycle that found it.")
    blocked_until: Mapped[Instant] = column("Nobody asks this host before then.")
    reason: Mapped[Text] = column("Why, in words.")
    updated_at: Mapped[Instant] = column("When this was last written.")


class KnownKickoff(Base):
    __tablename__ = "known_kickoffs"
    __table_args__ = (
        sa.Index(None, "kickoff_at"),
        {
            "schema": "ops",
            "comment": "Since when the pipeline knew of which kickoff: what its cadence went by. No replay changes "
            "its past.",
        },
    )

    sr_id: Mapped[BigInt] = key("SportRadar id of the fixture.")
    known_from: Mapped[Instant] = key("When core first held it, until the fixture's next row.")
    kickoff_at: Mapped[Instant | None] = column(
        "Its effective kickoff; null when nobody listed it any more, or it had been before this was known."
    )


class RunHeartbeat(Base):
    __tablename__ = "run_heartbeats"
    __table_args__ = (
        sa.Index("ix_run_heartbeats_alive", "heartbeat_at", postgresql_where=sa.text("finished_at is null")),
        {
            "schema": "ops",
            "comment": "One row per Dagster run that this pipeline's code executes: whether its process is alive. "
            "Kept for some days.",
        },
    )

    run_id: Mapped[Text] = key("Dagster run.")
    job: Mapped[Text] = column("Its job.")
    host: Mapped[Text] = column("Machine that executes it.")
    pid: Mapped[int] = column("Process that executes it.")
    started_at: Mapped[Instant] = column("Begin of the execution.")
    heartbeat_at: Mapped[Instant] = column("Last sign of life of the process.")
    finished_at: Mapped[Instant | None] = column("End of the execution; null while it runs, or when its process died.")
    machine: Mapped[Text | None] = column(
        "Machine, its boot and its process namespace: within them the pid names one process; null when not known."
    )
    first_day: Mapped[date | None] = column(
        "First UTC day of the partitions that the process has loaded; null when not known."
    )


class Alert(Base):
    __tablename__ = "alerts"
    __table_args__ = (
        sa.Index("ix_alerts_open", "alert_key", unique=True, postgresql_where=sa.text("closed_at is null")),
        {
            "schema": "ops",
            "comment": "One row per trouble from when it was first seen until it was over: what alerts were sent of.",
        },
    )

    alert_key: Mapped[Text] = key("What the trouble is, without its occurrences: <kind>/<subject>/<error class>.")
    opened_at: Mapped[Instant] = key("When it was first seen.")
    severity: Mapped[Severity] = column("How bad it was at its worst.", type_=text_enum(Severity))
    subject: Mapped[Text] = column("What has it: a job, the asset of a product, or a check with its asset.")
    error_class: Mapped[Text] = column("Class of the error.")
    message: Mapped[Text] = column("What is wrong and what to do, in words: of the last occurrence.")
    partition_key: Mapped[Text | None] = column(
        "Days or cycles that have the trouble, separated by commas; for a job that runs day after day only the "
        "latest; null without any."
    )
    n_seen: Mapped[int] = column("Occurrences.")
    last_seen_at: Mapped[Instant] = column("Last occurrence.")
    told_by: Mapped[TextArray] = column("Channels that have told its begin.")
    told_at: Mapped[Instant | None] = column("When the last of all channels had told its begin; null until then.")
    closed_at: Mapped[Instant | None] = column("When it was over; null while it lasts.")
    closing_told_by: Mapped[TextArray] = column("Channels that have told its end.")
    closing_told_at: Mapped[Instant | None] = column("When the last of all channels had told its end; null until then.")


class CycleCheck(Base):
    __tablename__ = "cycle_checks"
    __table_args__ = (
        sa.Index("ix_cycle_checks_judged", "check_name", "judged_at"),
        sa.Index("ix_cycle_checks_bad", "cycle_id", postgresql_where=sa.text("violations > 0")),
        {"schema": "ops", "comment": "The newest verdict of each check on each cycle."},
    )

    check_name: Mapped[Text] = key("Asset and check, such as core/odds_snapshots:history_equals_current.")
    cycle_id: Mapped[BigInt] = key("Cycle.")
    severity: Mapped[Severity] = column(
        "Severity of the violations; without violations it means nothing.", type_=text_enum(Severity)
    )
    violations: Mapped[int] = column("Number of violations; 0: the cycle has passed.")
    description: Mapped[Text] = column("The problem and what to do about it; empty when the cycle has passed.")
    judged_at: Mapped[Instant] = column("When the check last judged the cycle.")


class AcknowledgedOddsAlert(Base):
    __tablename__ = "acknowledged_odds_alerts"
    __table_args__ = (
        {"schema": "ops", "comment": "Episodes of mart.odds_alert that somebody has seen. No derivation changes it."},
    )

    alert_id: Mapped[BigInt] = key("Episode.")
    acknowledged_at: Mapped[Instant] = column("When.")
    acknowledged_by: Mapped[Text] = column("Who, as he named himself.")
