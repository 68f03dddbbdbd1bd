"""Tables of messages to traders: the rules, and the outbox from which the sender delivers."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from palimpsest_pipeline.domain.enums import PushState

from .declarative_base import Instant, Json, OpsTable, Text, column, key


class StoredPushRule(OpsTable):
    """Rules for messages to traders, as last read from their file, and from when each one holds."""

    __tablename__ = "push_rules"

    rule: Mapped[Text] = key("Name of the rule.")
    source: Mapped[Text] = column("Source of its events.")
    definition: Mapped[Json] = column("The rule's fields as in the file. It has names of variables, and no secret.")
    digest: Mapped[Text] = column("Digest of its filters. A rule with another digest is a new rule.")
    since: Mapped[Instant] = column("When the rule was first read with these filters. It sends nothing older.")
    removed_at: Mapped[Instant | None] = column("When the file was first read without it; null while it has the rule.")


class PushMessage(OpsTable):
    """Messages to traders, written in the transaction that derives their event.

    The sender delivers them in the order of message_seq, rule by rule.
    """

    __tablename__ = "push_outbox"
    schema_items = (
        sa.UniqueConstraint("message_id"),
        sa.Index(None, "rule", "fires_at"),
        sa.Index("ix_push_outbox_unsent", "rule", "message_seq", postgresql_where=sa.text("state <> 'delivered'")),
    )

    message_seq: Mapped[int] = key("Number of the message. Messages are committed in its order.", autoincrement=True)
    message_id: Mapped[Text] = column("Hash of rule, source and event: an event has the same id in every derivation.")
    rule: Mapped[Text] = column("Rule that selected the event.")
    subject: Mapped[Text] = column("What the rule's cooldown holds for: a fixture, or a market and line of it.")
    fires_at: Mapped[Instant] = column("When the event began to match the rule.")
    created_at: Mapped[Instant] = column("When the message was written.")
    body: Mapped[Text] = column("The JSON that is sent, byte by byte the same in every attempt.")
    state: Mapped[PushState] = column(
        "pending; delivered; failed: the receiver refused it, and it is not sent again by itself; cancelled: its rule "
        "was removed before it was delivered."
    )
    n_attempts: Mapped[int] = column("Number of attempts so far.")
    next_attempt_at: Mapped[Instant] = column("No attempt before then.")
    delivered_at: Mapped[Instant | None] = column("When the receiver accepted it; null until then.")
    last_status: Mapped[int | None] = column("HTTP status of the last attempt; null without an answer.")
    last_error: Mapped[Text | None] = column("Reason why the last attempt failed, without secrets; null otherwise.")
