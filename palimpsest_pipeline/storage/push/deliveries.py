"""The statements of the sender: read the next messages, and record the result of an attempt.

The sender's role (`sql/roles.sql`) may do only this: read the rules and the outbox, and update the columns of delivery.
Every statement is a transaction of its own. Times are those of the database's clock.
"""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import psycopg

from palimpsest_pipeline.domain.enums import PushState

from .outbox import OUTBOX_CHANNEL

MAX_ERROR_CHARS: Final = 500


@dataclass(frozen=True, slots=True)
class PendingMessage:
    """The first pending message of a rule, and the webhook of the rule."""

    message_seq: int
    message_id: str
    rule: str
    body: str
    n_attempts: int
    wait_s: float
    """Seconds until the next attempt may be made; 0 when it may be made now."""
    webhook: str
    """Name of the variable with the webhook's address."""
    signing_key: str | None


class DeliveryStore:
    """The outbox as the sender sees it, on one connection in autocommit mode."""

    def __init__(self, conn: psycopg.AsyncConnection[Any]) -> None:
        self._conn = conn

    async def claim_sender(self) -> bool:
        """Return whether this session is now the only sender, until it ends."""
        cursor = await self._conn.execute("select ops.claim_push_sender()")
        return bool((await cursor.fetchone() or (False,))[0])

    async def read_first_messages(self, rule: str | None = None) -> list[PendingMessage]:
        """Return the first pending message of each rule in force, or of one rule."""
        cursor = await self._conn.execute(FIRST_MESSAGES_SQL, {"rule": rule})
        return [PendingMessage(*row) for row in await cursor.fetchall()]

    async def record_delivery(self, message: PendingMessage, status: int) -> None:
        """Record that the receiver has accepted the message."""
        await self._conn.execute(DELIVERED_SQL, {"seq": message.message_seq, "status": status})

    async def record_refusal(self, message: PendingMessage, status: int, error: str) -> None:
        """Record that the receiver refused the message, so that it is not sent again.

        A message that was cancelled meanwhile stays cancelled.
        """
        params = {"seq": message.message_seq, "status": status, "error": error[:MAX_ERROR_CHARS]}
        await self._conn.execute(REFUSED_SQL, params)

    async def record_failure(self, message: PendingMessage, status: int | None, error: str, wait_s: float) -> None:
        """Record a failed attempt. The next one may be made `wait_s` seconds from now."""
        params = {
            "seq": message.message_seq,
            "status": status,
            "error": error[:MAX_ERROR_CHARS],
            "wait": timedelta(seconds=wait_s),
        }
        await self._conn.execute(FAILED_SQL, params)


async def listen_for_messages(conn: psycopg.AsyncConnection[Any], wake: asyncio.Event) -> None:
    """Set `wake` at each commit of new messages, until cancelled. Nothing else may use the connection."""
    await conn.execute(f"listen {OUTBOX_CHANNEL}".encode())
    wake.set()  # a message may have been committed before
    async for _ in conn.notifies():
        wake.set()


# The condition on `delivered` lets Postgres use the partial index ix_push_outbox_unsent.
FIRST_MESSAGES_SQL: Final = f"""
select m.message_seq, m.message_id, m.rule, m.body, m.n_attempts,
    greatest(0, extract(epoch from m.next_attempt_at - clock_timestamp()))::double precision,
    r.definition ->> 'webhook', r.definition ->> 'signing_key'
from (
    select rule, min(message_seq) as message_seq from ops.push_outbox
    where state <> 'delivered' and state = '{PushState.PENDING.value}'
        and (%(rule)s::text is null or rule = %(rule)s::text)
    group by rule
) first
join ops.push_outbox m using (message_seq)
join ops.push_rules r on r.rule = m.rule and r.removed_at is null
order by m.message_seq
"""
DELIVERED_SQL: Final = f"""
update ops.push_outbox set state = '{PushState.DELIVERED.value}', n_attempts = n_attempts + 1,
    delivered_at = clock_timestamp(), last_status = %(status)s, last_error = null
where message_seq = %(seq)s
"""
REFUSED_SQL: Final = f"""
update ops.push_outbox set state = '{PushState.FAILED.value}', n_attempts = n_attempts + 1,
    last_status = %(status)s, last_error = %(error)s
where message_seq = %(seq)s and state = '{PushState.PENDING.value}'
"""
FAILED_SQL: Final = """
update ops.push_outbox set n_attempts = n_attempts + 1, last_status = %(status)s, last_error = %(error)s,
    next_attempt_at = clock_timestamp() + %(wait)s
where message_seq = %(seq)s
"""
