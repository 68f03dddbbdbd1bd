"""Who is told of alerts: the log always, a webhook when its address is set, and any class that the settings name.

A channel of one's own is one class with `name` and `send`, made with the settings as its only argument:
`PALIMPSEST_ALERT_CHANNELS='["my_package.pager:Pager"]'`.
"""

import importlib
import logging
from typing import Final, Protocol

from palimpsest_pipeline.domain.secrets import redact
from palimpsest_pipeline.settings import Settings

from .alert_message import Message

WEBHOOK_TIMEOUT_S: Final = 5.0
"""Of one attempt of the webhook: all channels together must end well within a tick."""


class ChannelFailed(Exception):
    """It was not told. The message says why, and shows no secret."""


class Channel(Protocol):
    """Tells people. `name` is kept with each alert that was told: it must stay the same."""

    name: str

    def send(self, message: Message) -> None:
        """Tell it, within seconds. Raises ChannelFailed; then it is tried again at the next tick."""
        ...


class LogChannel:
    """The log of the tick (`log`), which Dagster's UI shows, and Python's own."""

    name = "log"

    def __init__(self, log: logging.Logger) -> None:
        self._logs = (log, logging.getLogger("palimpsest.alerts"))

    def send(self, message: Message) -> None:
        level = logging.WARNING if message.fields["n_begun"] else logging.INFO
        for log in self._logs:
            log.log(level, message.text)


class WebhookChannel:
    """POSTs `{"text": ..., ...fields}` to an address."""

    name = "webhook"

    def __init__(self, url: str) -> None:
        self._url = url

    def send(self, message: Message) -> None:
        from palimpsest_pipeline.wire.post_json import PostError, post_json  # noqa: PLC0415 - only who posts loads an HTTP library

        try:
            post_json(self._url, {"text": message.text, **message.fields}, timeout_s=WEBHOOK_TIMEOUT_S)
        except PostError as failed:
            raise ChannelFailed(str(failed)) from None


class MissingChannel:
    """A channel that the settings name and that cannot be had: what it should tell waits for it."""

    def __init__(self, name: str, why: str) -> None:
        self.name = name
        self.why = f"PALIMPSEST_ALERT_CHANNELS: {why}"

    def send(self, message: Message) -> None:
        raise ChannelFailed(self.why)


def make_channels(settings: Settings, log: logging.Logger) -> list[Channel]:
    """Every channel of these settings."""
    found: list[Channel] = [LogChannel(log)]
    if settings.alert_webhook_url is not None:
        found.append(WebhookChannel(settings.alert_webhook_url.get_secret_value()))
    return found + [_load_channel(name, settings) for name in settings.alert_channels]


def _load_channel(name: str, settings: Settings) -> Channel:
    module, _, attribute = name.partition(":")
    try:
        channel: Channel = getattr(importlib.import_module(module), attribute)(settings)
        _ = channel.name, channel.send  # what lacks them would keep the other channels from telling
    except Exception as error:  # noqa: BLE001 - a stranger's code: whatever it raises, the other channels are told
        return MissingChannel(
            name, redact(f"{name} cannot be made: {type(error).__name__}: {error}", *settings.list_secrets())
        )
    return channel
