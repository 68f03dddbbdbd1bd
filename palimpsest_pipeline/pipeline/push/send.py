"""The sender: delivers the messages of the outbox to the webhooks, in order per rule, at least once.

A message is pending until its receiver has accepted or refused it. If this process is killed after the receiver's
answer and before this is recorded, the next process sends the message again, with the same id. Only one process sends.
"""

import asyncio
import base64
import hashlib
import hmac
import logging
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import psycopg

from palimpsest_pipeline.domain.secrets import redact
from palimpsest_pipeline.settings import SettingsError, read_variable
from palimpsest_pipeline.storage.db.connection import CONNECT_TIMEOUT_S, Database
from palimpsest_pipeline.storage.push.deliveries import DeliveryStore, PendingMessage, listen_for_messages
from palimpsest_pipeline.wire.webhook import WebhookAnswer, WebhookClient, is_usable_address

# The headers follow the specification Standard Webhooks, so that receivers can use its libraries.
ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
KEY_PREFIX: Final = "whsec_"
"""A key with this prefix is base64 after it; any other key is used as UTF-8."""
MIN_KEY_BYTES: Final = 16


class BadSigningKey(ValueError):
    """The error for a key that cannot be used. The message does not contain it."""


def decode_key(text: str) -> bytes:
    """Return the bytes of a signing key. Raises BadSigningKey."""
    try:
        key = base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True) if text.startswith(KEY_PREFIX) else None
    except ValueError:  # not base64, or characters outside ASCII
        raise BadSigningKey(f"the text after {KEY_PREFIX} is not base64") from None
    key = text.encode() if key is None else key
    if len(key) < MIN_KEY_BYTES:
        raise BadSigningKey(f"a key has at least {MIN_KEY_BYTES} bytes")
    return key


def build_headers(message_id: str, body: bytes, timestamp_s: int, key: bytes | None) -> dict[str, str]:
    """Return the headers of one attempt; without a key there is no signature.

    The signature is `v1,` and the base64 of the HMAC-SHA256 of `{id}.{timestamp}.{body}`. `timestamp_s` is in Unix
    seconds.
    """
    headers = {
        "content-type": "application/json; charset=utf-8",
        ID_HEADER: message_id,
        TIMESTAMP_HEADER: str(timestamp_s),
    }
    if key is not None:
        signed = b".".join((message_id.encode(), str(timestamp_s).encode(), body))
        digest = hmac.new(key, signed, hashlib.sha256).digest()
        headers[SIGNATURE_HEADER] = f"v1,{base64.b64encode(digest).decode()}"
    return headers


_POLL_INTERVAL_S: Final = 2.0
"""Maximum time between two readings of the outbox.

It is rarely needed, because a commit of messages is announced.
"""
_REQUEST_TIMEOUT_S: Final = 10.0
FIRST_BACKOFF_S: Final = 0.5
MAX_BACKOFF_S: Final = 60.0
MAX_RETRY_AFTER_S: Final = 3600.0
UNUSABLE_WAIT_S: Final = 15.0
"""Wait after a message could not be sent because a variable is missing or bad."""
CLAIM_INTERVAL_S: Final = 1.0
RECONNECT_INTERVAL_S: Final = 2.0
_APPLICATION_NAME: Final = "palimpsest-sender"
RETRIED_STATUSES: Final = frozenset({401, 403, 404, 407, 408, 429})
"""The statuses below 500 after which a message is sent again.

They say that the address, a credential or the moment is wrong, as a proxy does during a deployment, and nothing about
this message. Any other one refuses the message.
"""

log = logging.getLogger(__name__)
_Say = Callable[[str], None]


class UnusableWebhook(Exception):
    """The error when a rule's address or key cannot be used.

    The message names the variable, not its value.
    """


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address with the key of its signatures. Both are secret."""

    url: str = field(repr=False)
    key: bytes | None = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False, default=())


def compute_backoff_s(n_attempts: int, jitter: float) -> float:
    """Return the wait after the attempt with this number, from 1; `jitter` is in [0, 1).

    The limit of the wait doubles from attempt to attempt. The wait is between half of the limit and the limit.
    """
    limit = min(FIRST_BACKOFF_S * 2.0 ** min(n_attempts - 1, 30), MAX_BACKOFF_S)
    return limit * (0.5 + jitter / 2)


def is_refusal(status: int | None) -> bool:
    """Return whether an answer refuses the message for good: a redirect or a fault of the message itself."""
    return status is not None and status < 500 and status not in RETRIED_STATUSES


def find_webhook(message: PendingMessage) -> Webhook:
    """Return the webhook of the message's rule, from the environment or `.env`. Raises UnusableWebhook."""
    try:
        url = read_variable(message.webhook)
        key_text = None if message.signing_key is None else read_variable(message.signing_key)
    except SettingsError as error:
        raise UnusableWebhook(str(error)) from error
    if url is None:
        raise UnusableWebhook(f"the variable {message.webhook} is not set")
    if not is_usable_address(url):
        raise UnusableWebhook(f"the variable {message.webhook} has no http(s) URL that can be used")
    if message.signing_key is not None and key_text is None:
        raise UnusableWebhook(f"the variable {message.signing_key} is not set")
    try:
        return Webhook(url, None if key_text is None else decode_key(key_text), (key_text,) if key_text else ())
    except BadSigningKey as error:
        raise UnusableWebhook(f"the variable {message.signing_key}: {error}") from None


class AddressHolds:
    """The addresses to which nothing is sent for a time, because their receivers asked to wait."""

    def __init__(self) -> None:
        self._until_s: dict[str, float] = {}
        """Monotonic time of the end, by address."""

    def hold(self, url: str, seconds: float) -> None:
        """Hold an address for this time from now, unless it is held for longer already."""
        self._until_s[url] = max(self._until_s.get(url, 0.0), time.monotonic() + seconds)

    def compute_rest_s(self, url: str) -> float:
        """Return the seconds for which an address is still held; 0 when it is not."""
        return max(0.0, self._until_s.get(url, 0.0) - time.monotonic())


class Sender:
    """Delivers pending messages: several rules at the same time, each in order."""

    def __init__(self, store: DeliveryStore, client: WebhookClient, say: _Say, holds: AddressHolds) -> None:
        self._store, self._client, self._say, self._holds = store, client, say, holds
        self._running: dict[str, asyncio.Task[None]] = {}

    async def run(self, wake: asyncio.Event) -> None:
        """Deliver messages until cancelled. `wake` is set when there may be new ones."""
        try:
            while True:
                wake.clear()
                wait_s = _POLL_INTERVAL_S
                for message in await self._store.read_first_messages():
                    if message.rule in self._running:
                        continue
                    if rest_s := message.wait_s or self._compute_held_s(message):
                        wait_s = min(wait_s, rest_s)
                        continue
                    task = asyncio.create_task(self._deliver_rule(message, wake))
                    self._running[message.rule] = task
                with suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), wait_s)
                self._remove_finished()
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    def _compute_held_s(self, message: PendingMessage) -> float:
        """Return the seconds for which the address of the message's rule is held.

        It is looked up in each round, so that another address in `.env` is used at once. 0 for an unusable webhook,
        which the attempt records.
        """
        try:
            return self._holds.compute_rest_s(find_webhook(message).url)
        except UnusableWebhook:
            return 0.0

    def _remove_finished(self) -> None:
        for rule, task in list(self._running.items()):
            if task.done():
                del self._running[rule]
                task.result()  # raises what the task raised, such as a lost database

    async def _deliver_rule(self, message: PendingMessage, wake: asyncio.Event) -> None:
        """Deliver the rule's messages one after the other, until one has to wait or none is left."""
        try:
            pending: PendingMessage | None = message
            while pending is not None and pending.wait_s == 0 and await self._deliver(pending):
                pending = next(iter(await self._store.read_first_messages(message.rule)), None)
        finally:
            wake.set()

    async def _deliver(self, message: PendingMessage) -> bool:
        """Make one attempt, record its result, and return whether the rule's next message may follow."""
        try:
            webhook = find_webhook(message)
        except UnusableWebhook as error:
            await self._fail(message, None, str(error), UNUSABLE_WAIT_S)
            return False
        if self._holds.compute_rest_s(webhook.url):
            return False  # the receiver has asked another rule to wait meanwhile
        body = message.body.encode()
        headers = build_headers(message.message_id, body, int(time.time()), webhook.key)
        answer = await self._client.post(webhook.url, body, headers)
        if answer.is_success and answer.status is not None:
            await self._store.record_delivery(message, answer.status)
            return True
        detail = redact(answer.detail, *webhook.secrets)
        if answer.status is not None and is_refusal(answer.status):
            self._say(f"{message.rule}: message {message.message_id} was refused and is not sent again: {detail}")
            await self._store.record_refusal(message, answer.status, detail)
            return True
        await self._fail(message, answer.status, detail, self._compute_wait_s(message, answer, webhook.url))
        return False

    def _compute_wait_s(self, message: PendingMessage, answer: WebhookAnswer, url: str) -> float:
        backoff_s = compute_backoff_s(message.n_attempts + 1, random.random())
        if answer.retry_after_s is None:
            return backoff_s
        wait_s = min(answer.retry_after_s, MAX_RETRY_AFTER_S)
        self._holds.hold(url, wait_s)
        return max(wait_s, FIRST_BACKOFF_S)

    async def _fail(self, message: PendingMessage, status: int | None, detail: str, wait_s: float) -> None:
        log.info("%s: attempt %d failed: %s", message.rule, message.n_attempts + 1, detail)
        if message.n_attempts == 0:
            self._say(f"{message.rule}: {detail}; it is sent again until it is accepted")
        await self._store.record_failure(message, status, detail, wait_s)


async def run_sender(database: Database, say: _Say) -> None:
    """Deliver messages until cancelled. If the database is lost, connect again until it is back."""
    holds = AddressHolds()  # of the process, not of a session with the database
    while True:
        try:
            await _run_session(database, say, holds)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            say(f"the database cannot be reached, trying again: {str(error).strip().partition(chr(10))[0]}")
            await asyncio.sleep(RECONNECT_INTERVAL_S)


async def _run_session(database: Database, say: _Say, holds: AddressHolds) -> None:
    """Deliver messages until a connection to the database is lost."""
    async with await _connect(database) as conn, await _connect(database) as listening_conn:
        store = DeliveryStore(conn)
        if not await store.claim_sender():
            say("another process sends messages; waiting until it ends")
            while not await store.claim_sender():  # noqa: ASYNC110 - the lock is in the database
                await asyncio.sleep(CLAIM_INTERVAL_S)
        say("sending messages to traders")
        wake = asyncio.Event()
        async with WebhookClient(_REQUEST_TIMEOUT_S) as client:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(listen_for_messages(listening_conn, wake))
                    group.create_task(Sender(store, client, say, holds).run(wake))
            except* psycopg.Error as errors:
                raise errors.exceptions[0] from None


async def _connect(database: Database) -> psycopg.AsyncConnection[Any]:
    return await psycopg.AsyncConnection.connect(
        database.conninfo, autocommit=True, application_name=_APPLICATION_NAME, connect_timeout=CONNECT_TIMEOUT_S
    )
