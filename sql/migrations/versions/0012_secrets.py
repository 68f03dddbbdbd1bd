"""Credentials that messages showed are taken out of the rows, and each cycle keeps its own word of a host.

Older versions wrote the URL of a proxy, user and password included, into the text of a failure. What is hidden does not come back with a downgrade.
"""

import sqlalchemy as sa
from alembic import op

from palimpsest_pipeline.storage.db.url_credentials import hide_credentials_sql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TEXTS = (
    ("ops.scrape_runs", "message"),
    ("ops.event_scrape_status", "error_detail"),
    ("ops.host_state", "reason"),
    ("ops.alerts", "message"),
    ("core.discovery_manifest", "missing"),
    ("mart.availability_interval", "reason_detail"),
)
"""Where the text of a failure is kept."""


def upgrade() -> None:
    for table, column in TEXTS:
        op.execute(hide_credentials_sql(table, column))
    op.execute("delete from ops.host_state where blocked_until is null or host like '%@%'")
    op.alter_column(
        "host_state", "blocked_until", nullable=False, comment="Nobody asks this host before then.", schema="ops"
    )
    op.add_column(
        "host_state",
        sa.Column("cycle_id", sa.BigInteger(), nullable=False, server_default="0", comment="Cycle that found it."),
        schema="ops",
    )
    op.alter_column("host_state", "cycle_id", server_default=None, schema="ops")
    op.drop_constraint("pk_host_state", "host_state", schema="ops")
    op.create_primary_key("pk_host_state", "host_state", ["host", "cycle_id"], schema="ops")
    op.create_table_comment(
        "host_state",
        "What runs at the same time tell each other about a host: one row per host in trouble and cycle that found it so.",
        schema="ops",
    )


def downgrade() -> None:
    op.execute(
        """
        delete from ops.host_state where (host, cycle_id) not in (
            select distinct on (host) host, cycle_id from ops.host_state order by host, blocked_until desc, cycle_id
        )
        """
    )
    op.drop_constraint("pk_host_state", "host_state", schema="ops")
    op.create_primary_key("pk_host_state", "host_state", ["host"], schema="ops")
    op.drop_column("host_state", "cycle_id", schema="ops")
    op.alter_column(
        "host_state",
        "blocked_until",
        nullable=True,
        comment="Nobody asks this host before then; null when open.",
        schema="ops",
    )
    op.create_table_comment("host_state", "What runs at the same time tell each other about a host.", schema="ops")
