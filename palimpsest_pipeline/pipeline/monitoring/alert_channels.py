"""The channels that send alerts: the log, a webhook if it has an address, classes from the settings.

A custom channel is a class with `name` and `send`. Its constructor takes the settings as its only argument:
`PALIMPSEST_ALERT_CHANNELS='["my_package.pager:Pager"]'`.
"""

import importlib
import logging
from typing import Final, Protocol

from palimpsest_pipeline.domain.secrets import redact
from palimpsest_pipeline.settings import Settings

from .alert_message import Message

WEBHOOK_TIMEOUT_S: Final = 5.0
"""Timeout of one request of the webhook. All channels together must finish well within a sensor tick."""


class ChannelFailed(Exception):
    """A channel could not send a message. The text gives the reason and contains no secret."""


class Channel(Protocol):
    """A way to notify people. `name` is stored with each sent alert, so it must never change."""

    name: str

    def send(self, message: Message) -> None:
        """Send the message within seconds. Raises ChannelFailed; then the next sensor tick tries again."""
        ...


class LogChannel:
    """The channel that writes to the log of the sensor tick, shown in Dagster's UI, and to Python's log."""

    name = "log"

    def __init__(self, log: logging.Logger) -> None:
        self._logs = (log, logging.getLogger("palimpsest.alerts"))

    def send(self, message: Message) -> None:
        level = logging.WARNING if message.fields["n_begun"] else logging.INFO
        for log in self._logs:
            log.log(level, message.text)


class WebhookChannel:
    """The channel that POSTs `{"text": ..., ...fields}` to an address."""

    name = "webhook"

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, message: Message) -> None:
        from palimpsest_pipeline.wire.post_json import (  # noqa: PLC0415 - loads an HTTP library, which few need
            PostError,
            post_json,
        )

        try:
            post_json(self._url, {"text": message.text, **message.fields}, timeout_s=WEBHOOK_TIMEOUT_S)
        except PostError as error:
            raise ChannelFailed(str(error)) from None


class MissingChannel:
    """A channel in the settings that cannot be created. Its messages stay pending until it can be created."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self.why = f"PALIMPSEST_ALERT_CHANNELS: {why}"

    def send(self, message: Message) -> None:
        raise ChannelFailed(self.why)


def make_channels(settings: Settings, log: logging.Logger) -> list[Channel]:
    """Return all channels of these settings."""
    channels: list[Channel] = [LogChannel(log)]
    if settings.alert_webhook_url is not None:
        channels.append(WebhookChannel(settings.alert_webhook_url.get_secret_value()))
    return channels + [_load_channel(name, settings) for name in settings.alert_channels]


def _load_channel(name: str, settings: Settings) -> Channel:
    module, _, attribute = name.partition(":")
    try:
        channel: Channel = getattr(importlib.import_module(module), attribute)(settings)
        _ = channel.name, channel.send  # an object without them would break the other channels
    except Exception as error:  # noqa: BLE001 - third-party code: its errors must not stop the other channels
        return MissingChannel(
            name, redact(f"{name} cannot be made: {type(error).__name__}: {error}", *settings.list_secrets())
        )
    return channel
