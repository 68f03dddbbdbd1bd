"""Rules and outbox of messages to traders, and the claim of the one process that sends them."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql as pg

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None

STATES = ("pending", "delivered", "failed")
CLAIM = """
create function ops.claim_push_sender() returns boolean
language sql volatile security definer set search_path = pg_catalog
as $$ select pg_try_advisory_lock(7019000003) $$
"""
CLAIM_COMMENT = (
    "Take the lock of the process that sends messages to traders, until the session ends; false while another session has it. Its only purpose is "
    "that the sender''s role needs no right to other locks."
)


def upgrade() -> None:
    op.create_table(
        "push_rules",
        sa.Column("rule", sa.Text(), nullable=False, comment="Name of the rule."),
        sa.Column("source", sa.Text(), nullable=False, comment="Source of its events."),
        sa.Column(
            "definition",
            pg.JSONB(),
            nullable=False,
            comment="The rule's fields as in the file. It has names of variables, and no secret.",
        ),
        sa.Column(
            "digest",
            sa.Text(),
            nullable=False,
            comment="Digest of its filters. A rule with another digest is a new rule.",
        ),
        sa.Column(
            "since",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="When the rule was first read with these filters. It sends nothing older.",
        ),
        sa.Column(
            "removed_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When the file was first read without it; null while it has the rule.",
        ),
        sa.PrimaryKeyConstraint("rule", name=op.f("pk_push_rules")),
        schema="ops",
        comment="Rules for messages to traders, as last read from the file of rules, with the instant from which each one holds.",
    )
    op.create_table(
        "push_outbox",
        sa.Column(
            "message_seq",
            sa.Integer(),
            nullable=False,
            autoincrement=True,
            comment="Number of the message. Messages are committed in its order.",
        ),
        sa.Column(
            "message_id",
            sa.Text(),
            nullable=False,
            comment="Hash of rule, source and event: an event has the same id in every derivation.",
        ),
        sa.Column("rule", sa.Text(), nullable=False, comment="Rule that selected the event."),
        sa.Column(
            "subject",
            sa.Text(),
            nullable=False,
            comment="What the rule's cooldown holds for: a fixture, or a market of it on platforms.",
        ),
        sa.Column(
            "fires_at",
            sa.TIMESTAMP(timezone=True),
            nullable=False,
            comment="When the event began to match the rule.",
        ),
        sa.Column("created_at", sa.TIMESTAMP(timezone=True), nullable=False, comment="When the message was written."),
        sa.Column(
            "body",
            sa.Text(),
            nullable=False,
            comment="The JSON that is sent, byte by byte the same in every attempt.",
        ),
        sa.Column(
            "state",
            sa.Enum(*STATES, name="pushstate", native_enum=False, create_constraint=True, length=24),
            nullable=False,
            comment="pending, delivered, or failed: the receiver refused it, and it is not sent again.",
        ),
        sa.Column("n_attempts", sa.Integer(), nullable=False, comment="Number of attempts so far."),
        sa.Column("next_attempt_at", sa.TIMESTAMP(timezone=True), nullable=False, comment="No attempt before then."),
        sa.Column(
            "delivered_at",
            sa.TIMESTAMP(timezone=True),
            nullable=True,
            comment="When the receiver accepted it; null until then.",
        ),
        sa.Column(
            "last_status",
            sa.Integer(),
            nullable=True,
            comment="HTTP status of the last attempt; null without an answer.",
        ),
        sa.Column(
            "last_error",
            sa.Text(),
            nullable=True,
            comment="Reason why the last attempt failed, without secrets; null otherwise.",
        ),
        sa.PrimaryKeyConstraint("message_seq", name=op.f("pk_push_outbox")),
        sa.UniqueConstraint("message_id", name=op.f("uq_push_outbox_message_id")),
        schema="ops",
        comment="Messages to traders, written in the transaction that derives their event. The sender delivers them in the order of message_seq, "
        "rule by rule.",
    )
    op.create_index(op.f("ix_push_outbox_rule_fires_at"), "push_outbox", ["rule", "fires_at"], schema="ops")
    op.create_index(
        "ix_push_outbox_unsent",
        "push_outbox",
        ["rule", "message_seq"],
        schema="ops",
        postgresql_where=sa.text("state <> 'delivered'"),
    )
    op.execute(CLAIM)
    op.execute(f"comment on function ops.claim_push_sender() is '{CLAIM_COMMENT}'")
    op.execute("revoke execute on function ops.claim_push_sender() from public")


def downgrade() -> None:
    op.execute("drop function ops.claim_push_sender()")
    op.drop_table("push_outbox", schema="ops")
    op.drop_table("push_rules", schema="ops")
