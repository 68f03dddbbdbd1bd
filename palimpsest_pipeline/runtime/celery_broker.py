"""Read the URL of the Celery broker that distributes runs to workers.

The module can be imported without the optional dependency `celery`.
"""

from importlib.util import find_spec
from typing import Final

from palimpsest_pipeline.settings import Settings, SettingsError

BROKER_VARIABLE: Final = "PALIMPSEST_CELERY_BROKER_URL"


def require_broker_url(settings: Settings) -> str:
    """Return the broker's URL. Raises SettingsError if none is set or `celery` is not installed."""
    if settings.celery_broker_url is None:
        raise SettingsError(
            f"{BROKER_VARIABLE}: not set; write redis://:PASSWORD@HOST:6379/0 (or amqp://USER:PASSWORD@HOST:5672//)"
        )
    if find_spec("dagster_celery") is None:
        raise SettingsError(
            f"{BROKER_VARIABLE} is set, but its client is not installed: run pip install 'palimpsest-pipeline[celery]'"
        )
    return settings.celery_broker_url.get_secret_value()
