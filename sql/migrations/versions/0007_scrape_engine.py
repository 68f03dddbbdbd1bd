"""Cycles that were ended or died, what instant each good answer shows, and how near its floor each capture came."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

INSTANT = sa.TIMESTAMP(timezone=True)
RUN_STATUS = ("running", "completed", "partial", "failed")
ENDED_OTHERWISE = ("cancelled", "interrupted")
TABLES = ("scrape_batches", "scrape_runs", "event_scrape_status")
COMMENTS = {
    # (table, column): (before, after)
    ("scrape_batches", "status"): (
        "completed: all platforms; partial: some; failed: none.",
        "running; completed: all platforms; partial: some; failed: none; cancelled: somebody ended it; interrupted: its process died.",
    ),
    ("scrape_batches", "finished_at"): (
        "End of the cycle; null while it runs.",
        "End of the cycle, of an interrupted one its last sign of life; null while it runs.",
    ),
    ("scrape_runs", "status"): (
        "completed, partial or failed.",
        "As of the batch; running until the platform's part is over.",
    ),
    ("scrape_runs", "finished_at"): ("Last answer.", "Last answer; while it runs, the last one so far."),
    ("event_scrape_status", "status"): (
        "completed or failed.",
        "completed; failed; cancelled: the cycle was ended before the verdict; interrupted: its process died before the verdict was landed.",
    ),
    ("event_scrape_status", "error_class"): (
        "Failure class of the last attempt; null when completed.",
        "Failure class of the last attempt; null when completed, or when the cycle ended before one had failed.",
    ),
    ("event_scrape_status", "requested_at"): ("Start of the last attempt.", "Start of the first attempt."),
    ("event_scrape_status", "duration_ms"): (
        "Duration of the last attempt in ms.",
        "From the first request to the verdict in ms, waits between tries included.",
    ),
}
OF_THE_DROP = "1 - fetched / trailing median of earlier cycles of the same scope"
DROP_VS_MEDIAN = (
    f"{OF_THE_DROP}; null without a history.",
    f"{OF_THE_DROP} that were complete in this stage; null without a history.",
)
OBSERVED_AT = "Instant that the good answer shows: received_at less its age in an edge cache; null when not completed, or written before this was kept."
CLOCK_OFFSET_S = "How far the host's clock is ahead of ours in seconds, the median of its answers; null when none told."
CAPTURE_S = "First request of the capture to its last answer in seconds; null without a capture, or written before this was kept."
FLOOR_S = "Least seconds in which the host's budget allows requests of the durations measured; null like capture_s."


def upgrade() -> None:
    for table in TABLES:
        _allow(table, (*RUN_STATUS, *ENDED_OTHERWISE))
    op.add_column(
        "event_scrape_status", sa.Column("observed_at", INSTANT, nullable=True, comment=OBSERVED_AT), schema="ops"
    )
    for name, comment in (("clock_offset_s", CLOCK_OFFSET_S), ("capture_s", CAPTURE_S), ("floor_s", FLOOR_S)):
        op.add_column("scrape_runs", sa.Column(name, sa.Double, nullable=True, comment=comment), schema="ops")
    for (table, column), (_, after) in COMMENTS.items():
        op.alter_column(table, column, comment=after, schema="ops")
    op.alter_column("run_quality", "drop_vs_median", comment=DROP_VS_MEDIAN[1], schema="mart")


def downgrade() -> None:
    op.alter_column("run_quality", "drop_vs_median", comment=DROP_VS_MEDIAN[0], schema="mart")
    for (table, column), (before, _) in COMMENTS.items():
        op.alter_column(table, column, comment=before, schema="ops")
    for name in ("floor_s", "capture_s", "clock_offset_s"):
        op.drop_column("scrape_runs", name, schema="ops")
    op.drop_column("event_scrape_status", "observed_at", schema="ops")
    for table in TABLES:
        # The older words have none for these; what ended without its end was failed.
        op.execute(f"update ops.{table} set status = 'failed' where status in {ENDED_OTHERWISE}")
        _allow(table, RUN_STATUS)


def _allow(table: str, words: tuple[str, ...]) -> None:
    """Restrict `status` to these words."""
    name = op.f(f"ck_{table}_runstatus")
    op.drop_constraint(name, table, schema="ops")
    op.create_check_constraint(name, table, sa.column("status").in_(words), schema="ops")
