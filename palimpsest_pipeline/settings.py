"""Every knob, with its unit in its name, from the environment (`PALIMPSEST_*`), a `.env` file, or the defaults here.

Nested settings use a double underscore: `PALIMPSEST_BETPAWA__BASE_URL`. Secrets are never printed: `masked()` is what
people see. Rooms take plain values; translating settings into them is the business of `defs` and `cli`.
"""

import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

import pydantic_settings
from dotenv.parser import Binding, parse_stream
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from palimpsest_pipeline.domain.enums import FreshnessFamily, Platform, Severity, Sport
from palimpsest_pipeline.domain.errors import PalimpsestError
from palimpsest_pipeline.domain.proxy import Proxy
from palimpsest_pipeline.domain.secrets import (
    PUBLIC_QUERY_PARAMETERS,
    list_address_secrets,
    list_header_secrets,
    list_link_secrets,
    list_store_secrets,
    redact,
)


class SettingsError(PalimpsestError):
    """Settings that cannot be used. The message says which, and what to do."""


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # read here for its error
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _validate_http_url(url: str) -> str:
    if not _is_http_url(url):
        raise ValueError(f"{redact(url)!r} is not an http(s) URL, e.g. https://www.betpawa.ng")
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        # The address is shown in many places, and kept with what is known of the host.
        raise ValueError(
            "write scheme and host only, e.g. https://www.betpawa.ng; what the site wants to know of you goes into __HEADERS"
        )
    return url.rstrip("/")


def _validate_proxy_url(url: SecretStr) -> SecretStr:
    Proxy.from_url(url.get_secret_value())
    return url


def _validate_store_url(url: str) -> str:
    scheme, found, rest = url.partition("://")
    info = rest.partition("/")[0].rpartition("@")[0]
    if found and (
        ":" in info or "?" in rest or (info and not scheme.lower().startswith(("abfs", "az", "sftp", "ssh")))
    ):
        raise ValueError(
            "write no password, key or query into this URL, which is shown in many places: give them in the environment, as the store's package "
            "reads them (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY for s3://; for any other FSSPEC_<SCHEME>_<ARGUMENT>, e.g. FSSPEC_SFTP_PASSWORD)"
        )
    return url


def _validate_broker_url(url: SecretStr) -> SecretStr:
    scheme, found, _ = url.get_secret_value().partition("://")
    try:
        _ = urlsplit(url.get_secret_value()).port  # read here for its error
    except ValueError:
        found = ""
    if not found or scheme not in ("redis", "rediss", "amqp", "amqps"):
        raise ValueError(
            "not the URL of a broker: write redis://:PASSWORD@HOST:6379/0 or amqp://USER:PASSWORD@HOST:5672//, with @ : / ? # % in USER and PASSWORD "
            "percent-encoded (@ is %40)"
        )
    return url


HttpUrl = Annotated[str, AfterValidator(_validate_http_url)]
StoreUrl = Annotated[str, AfterValidator(_validate_store_url)]


ENV_PREFIX: Final = "PALIMPSEST_"
DOTENV_FILE: Final = ".env"

SERVICE_ADDRESS_PATTERN: Final = re.compile(r"(tcp|udp|sctp)://.+")
"""What Kubernetes writes into the variable NAME_PORT of every container for a service of that name."""
UNMASKED_WORDS: Final = frozenset({"dagster", "guest", "palimpsest", "password", "postgres", "redis"})
"""Words of our own messages.

A password that is one of them stays visible: hiding it would spoil the messages and protect nothing.
"""
DEFAULT_STALE_AFTER_MINUTES: Final[dict[FreshnessFamily, tuple[int, int]]] = {
    FreshnessFamily.DISCOVERY: (100, 190),
    FreshnessFamily.ODDS: (100, 190),
    FreshnessFamily.COVERAGE: (110, 200),
    FreshnessFamily.FIXTURE_LIFE: (180, 720),
    FreshnessFamily.EXPORT: (27 * 60, 51 * 60),
}
"""Ages in minutes: a full cycle an hour, which takes most of half an hour, is in time; so is what is done once an
hour, or once a day.
"""


class PlatformSettings(BaseModel):
    """How to reach one platform, and how politely."""

    model_config = ConfigDict(hide_input_in_errors=True)

    base_url: HttpUrl
    headers: dict[str, SecretStr] = Field(
        default={}, description="Headers added to the platform's own, or replacing them"
    )
    user_agent: str | None = Field(
        default=None, description="How we name ourselves to the platform; unset: the platform's own default"
    )
    proxy: Annotated[SecretStr, AfterValidator(_validate_proxy_url)] | None = Field(
        default=None, description="Proxy URL: the sites block data-centre addresses"
    )
    max_in_flight: int = Field(ge=1, description="Requests at the same time")
    min_gap_s: float = Field(ge=0, description="Least time between two starts, seconds")
    jitter_s: float = Field(default=0, ge=0, description="Drawn from 0 up to this on top of each gap, seconds")
    max_per_s: float | None = Field(default=None, gt=0, description="Most starts in any second; unset: no such limit")
    connect_timeout_s: float = Field(default=10, gt=0, description="For a connection, seconds")
    read_timeout_s: float = Field(default=20, gt=0, description="Between two pieces of an answer, seconds")
    total_timeout_s: float = Field(default=45, gt=0, description="For a whole answer, seconds")
    max_attempts: int = Field(default=3, ge=1, description="Tries per request, the first included")
    backoff_initial_s: float = Field(
        default=0.5, ge=0, description="Longest wait before the second try; doubles with each further one ..."
    )
    backoff_max_s: float = Field(
        default=10, ge=0, description="... up to this. Each wait is drawn at random up to its bound, seconds"
    )
    stall_s: float = Field(
        default=10,
        gt=0,
        description="A request under way for so long, and nothing answered: the host is left alone for a while",
    )
    give_up_s: float = Field(
        default=60,
        gt=0,
        description="Left alone for so long without one good answer: not asked any more in this scrape",
    )
    max_discovery_lists: int = Field(
        default=200,
        ge=1,
        description="Most lists (pages; for Bet9ja competitions) that one discovery asks for; with more on offer it is partial",
    )
    max_body_bytes: int = Field(default=8 * 2**20, ge=1024, description="Largest body taken, after decompression")


class BetpawaSettings(PlatformSettings):
    """BetPawa: the host and `x-pawa-brand` travel together."""

    base_url: HttpUrl = "https://www.betpawa.ng"
    brand: str = "betpawa-nigeria"
    api_version: Literal["v3", "v4"] = "v4"
    max_in_flight: int = Field(default=16, ge=1)
    min_gap_s: float = Field(default=0, ge=0)


class SportybetSettings(PlatformSettings):
    """SportyBet: one host for all countries, the country in the path."""

    base_url: HttpUrl = "https://www.sportybet.com"
    country: str = "ng"
    max_in_flight: int = Field(default=5, ge=1)
    min_gap_s: float = Field(default=0.1, ge=0)
    jitter_s: float = Field(default=0.02, ge=0)


class Bet9jaSettings(PlatformSettings):
    """Bet9ja."""

    base_url: HttpUrl = "https://sports.bet9ja.com"
    cache_version: str = "1.301.2.225"
    max_discovery_lists: int = Field(default=1_200, ge=1)
    max_in_flight: int = Field(default=12, ge=1)
    min_gap_s: float = Field(default=0.025, ge=0)
    jitter_s: float = Field(default=0.005, ge=0)


DOTENV_ENCODING: Final = "utf-8-sig"
"""UTF-8, with or without the mark that some editors begin a file with."""


class Settings(BaseSettings):
    """All settings. Construct with `load_settings()`, which turns a bad value into one clear line."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        env_file=DOTENV_FILE,
        env_file_encoding=DOTENV_ENCODING,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,  # it may be a secret, and a traceback shows it
    )

    home_dir: Path = Field(
        default=Path(".palimpsest"), description="Where the embedded Postgres, the landing and Dagster's instance live"
    )
    database_url: SecretStr | None = Field(
        default=None, description="Your own Postgres 15 or newer; unset: the embedded one"
    )
    dagster_database_url: SecretStr | None = Field(
        default=None, description="Dagster's storage; required when database_url is set, its own database"
    )
    celery_broker_url: Annotated[SecretStr, AfterValidator(_validate_broker_url)] | None = Field(
        default=None,
        description="Broker (Redis, RabbitMQ) that hands runs to `palimpsest worker`; unset: runs are executed on this machine",
    )
    max_concurrent_runs: int = Field(
        default=4,
        ge=1,
        description="Runs at the same time; others wait in the queue. From 4 on two are kept for scrapes, one for a backfill, the rest for "
        "derivations; with fewer a scrape may wait for these",
    )
    landing_url: StoreUrl | None = Field(
        default=None, description="Folder or object-store URL of the landing; unset: <home_dir>/landing"
    )
    export_url: StoreUrl | None = Field(
        default=None, description="Folder or object-store URL of the exported odds history; unset: <home_dir>/export"
    )
    home_platform: Platform = Platform.BETPAWA
    sport: Sport = Sport.FOOTBALL
    betpawa: BetpawaSettings = BetpawaSettings()
    sportybet: SportybetSettings = SportybetSettings()
    bet9ja: Bet9jaSettings = Bet9jaSettings()
    full_cycle_minutes: int = Field(
        default=30, ge=1, le=60, description="Cadence of the full cycle's schedule, minutes; divides 60"
    )
    kickoff_tiers: dict[int, int] = Field(
        default={120: 5, 30: 1},
        min_length=1,
        description="Minutes before kickoff: from then on a fixture is asked every so many minutes",
    )
    kickoff_slot_minutes: int = Field(
        default=5, ge=1, le=60, description="How many minutes of the kickoff cadence one run covers; divides 60"
    )
    kickoff_ingest_s: float = Field(
        default=10,
        ge=0,
        lt=60,
        description="A kickoff cycle asks no longer than so many seconds before the next one is due: its odds are stored then",
    )
    urgent_share: float = Field(
        default=0.3,
        ge=0,
        lt=1,
        description="Share of each host's limits that a kickoff cycle has for itself, and so has one on demand, also beside it; full cycles have "
        "the rest. 0: each has all",
    )
    grace_minutes: int = Field(
        default=10, ge=0, lt=60, description="How long after midnight UTC a live run may still belong to the day before"
    )
    first_day: date | None = Field(
        default=None,
        description="First UTC day of Dagster's partitions, e.g. 2026-06-26; unset: the day written in the home folder. Set the same day on all "
        "machines when each has its own home folder",
    )
    patience: int = Field(
        default=8, ge=0, description="How often a fixture lets later ones go past before places are kept for it"
    )
    discovery_patience_s: float = Field(
        default=5,
        ge=0,
        description="A platform that has given no good answer to the discovery for so long is not waited for: the others are captured, seconds",
    )
    discovery_limit_s: float = Field(
        default=120,
        ge=0,
        le=3600,
        description="So long after the cycle's begin the discovery of such a platform, which goes on beside the capture, ends incomplete, seconds",
    )
    heartbeat_s: float = Field(
        default=5, gt=0, description="How often a running cycle gives a sign of life and writes down what is over"
    )
    silent_after_s: float = Field(
        default=30, gt=0, description="A cycle without a sign of life for so long is taken for dead; several heartbeats"
    )
    landing_retention_days: int = Field(
        default=7, ge=1, description="How long raw answers are kept that are derived and exported, days"
    )
    history_hot_days: int = Field(
        default=7, ge=1, description="Whole days of odds history kept in Postgres, besides today; older ones in Parquet"
    )
    run_retention_days: int = Field(
        default=30, ge=2, description="How long Dagster keeps the logs of runs that are over, days"
    )
    partitions_ahead_days: int = Field(
        default=14, ge=8, description="For how many days ahead places for the odds history are made"
    )
    fixture_life_retention_days: int = Field(
        default=30, ge=1, description="For how long after kickoff the tables of a fixture's life are kept, days"
    )
    not_observed_after_minutes: float = Field(
        default=90,
        gt=0,
        description="How long the last look at a listing holds; after that it counts as not observed, minutes",
    )
    close_exact_minutes: float = Field(
        default=5, gt=0, description="A last price confirmed so shortly before kickoff is the closing price, minutes"
    )
    life_overdue_hours: float = Field(
        default=26, gt=0, description="A check warns when a kickoff date waits longer to be derived anew, hours"
    )
    fixtures_overdue_minutes: float = Field(
        default=90,
        gt=0,
        description="A check warns when a fixture waits longer for what is derived of it after a cycle, minutes",
    )
    storage_limit_gb: float = Field(
        default=100, gt=0, description="A check fails when tables, landing and export are larger, 10^9 bytes"
    )
    stale_after_minutes: dict[FreshnessFamily, tuple[int, int]] = Field(
        default={},
        validate_default=True,
        description="How old the newest of a family of data may be before a check warns, and before it fails, minutes; those left out: the default",
    )
    stuck_after_minutes: float = Field(
        default=30, gt=0, description="A check fails when a run waits so long and nothing goes on, minutes"
    )
    match_rate_tolerance: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="A check warns when a match rate is further from the median of earlier full cycles, share of 1",
    )
    min_mapped_rate: float = Field(
        default=0.95, ge=0, le=1, description="A check warns when a platform's mapped markets are fewer, share of 1"
    )
    max_refused_share: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="A platform's part of a cycle is partial when more of its answers cannot be read, share of 1",
    )
    main_markets: list[str] = Field(
        default=[
            "match_result",
            "total_goals",
            "both_teams_to_score",
            "double_chance",
            "draw_no_bet",
            "asian_handicap",
        ],
        min_length=1,
        description="Markets whose margins are kept over time, most important first, as keys of the vocabulary",
    )
    max_skew_s: float = Field(
        default=120, gt=0, description="Prices of two platforms are compared when seen no further apart, seconds"
    )
    odds_alert_levels: tuple[float, float, float] = Field(
        default=(0.05, 0.08, 0.12),
        description="Changes of a price's implied probability (1 / odds) from which an alert to traders is low, medium and high, shares of 1",
    )
    odds_alert_max_odds: float = Field(
        default=10,
        gt=1,
        description="Outcomes whose compared prices are both above these odds cause no alert to traders",
    )
    odds_alert_markets: list[str] = Field(
        default=[],
        description='Markets that alerts to traders look at; none: those of PALIMPSEST_MAIN_MARKETS; ["*"]: every market',
    )
    odds_alert_window_minutes: float = Field(
        default=60, gt=0, description="Against how old a price changes are measured, minutes"
    )
    odds_alert_days: float = Field(
        default=3, gt=0, description="For how long before kickoff alerts to traders are looked for, days"
    )
    odds_alert_calm: float = Field(
        default=0.7, gt=0, lt=1, description="An alert is over when the change is below this share of the lowest level"
    )
    alert_webhook_url: SecretStr | None = Field(
        default=None, description="Where alerts are posted as JSON with a `text`, as chat services read it"
    )
    alert_channels: list[str] = Field(
        default=[], description="Further channels of alerts, each a class as package.module:Class"
    )
    alert_least_severity: Severity = Field(
        default=Severity.WARN, description="Alerts below it are kept and not told: warn or error"
    )
    alert_settle_minutes: float = Field(
        default=5, ge=0, description="What begins again so soon after its end goes on as one alert, minutes"
    )
    report_days: int = Field(default=7, ge=1, description="How far back the coverage page looks: trends, prices, days")
    ui_port: int = Field(default=3000, ge=1, le=65535, description="Dagster's UI, on loopback")
    umask: str = Field(
        default="077",
        pattern="^0?[0-7]{3}$",
        description="Permissions that new files and folders lack, octal. 027 lets your group read an export outside the home folder",
    )
    clock_offset_s: float = Field(default=0, description="Shifts the pipeline's clock; for simulated worlds only")
    embedded_port: int | None = Field(
        default=None,
        ge=1024,
        le=65535,
        description="Port on loopback (127.0.0.1) at which the embedded Postgres takes connections too, of roles with a password; unset: none",
    )
    embedded_durable: bool = Field(
        default=True, description="False trades crash safety of the embedded Postgres for speed; for demo and tests"
    )

    @field_validator("stale_after_minutes")
    @classmethod
    def _check_stale_limits(
        cls, given: dict[FreshnessFamily, tuple[int, int]]
    ) -> dict[FreshnessFamily, tuple[int, int]]:
        for family, (warn, fail) in given.items():
            if not 0 < warn <= fail:
                raise ValueError(
                    f'{family}: [{warn}, {fail}] are no two ages in minutes, first to warn and then to fail, e.g. {{"{family}": [100, 190]}}'
                )
        return {**DEFAULT_STALE_AFTER_MINUTES, **given}

    @field_validator("ui_port", "embedded_port", mode="before")
    @classmethod
    def _ignore_addresses_of_services(cls, given: Any, info: ValidationInfo) -> Any:
        """Return the default for an address that Kubernetes sets, for example for a service named palimpsest-ui: no
        command would start with it.
        """
        is_address = isinstance(given, str) and SERVICE_ADDRESS_PATTERN.fullmatch(given) is not None
        return cls.model_fields[info.field_name or ""].default if is_address else given

    @field_validator("full_cycle_minutes", "kickoff_slot_minutes")
    @classmethod
    def _check_divides_hour(cls, minutes: int) -> int:
        if 60 % minutes:
            raise ValueError(
                f"{minutes} does not divide the hour: take one of {', '.join(str(m) for m in range(1, 61) if 60 % m == 0)}"
            )
        return minutes

    @field_validator("kickoff_tiers")
    @classmethod
    def _check_tiers_become_denser(cls, tiers: dict[int, int]) -> dict[int, int]:
        ordered = dict(sorted(tiers.items(), reverse=True))
        every = list(ordered.values())
        if (
            min(*ordered, *every) < 1
            or max(ordered) > 7 * 24 * 60
            or any(1440 % minutes for minutes in every)
            or every != sorted(every, reverse=True)
        ):
            raise ValueError(
                f"{tiers} is no cadence: write minutes before kickoff (at most 10080) and every how many minutes from then on, which divide the "
                'day and become fewer towards kickoff, e.g. {"120": 5, "30": 1}'
            )
        return ordered

    @field_validator("main_markets")
    @classmethod
    def _check_unique_markets(cls, keys: list[str]) -> list[str]:
        if twice := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"{', '.join(twice)} is there twice")
        return keys

    @field_validator("odds_alert_levels")
    @classmethod
    def _check_levels_rise(cls, levels: tuple[float, float, float]) -> tuple[float, float, float]:
        if not 0 < levels[0] < levels[1] < levels[2] < 1:
            raise ValueError(f"{list(levels)} do not rise from above 0 to below 1, e.g. [0.05, 0.08, 0.12]")
        return levels

    @field_validator("alert_webhook_url")
    @classmethod
    def _check_webhook_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _is_http_url(url.get_secret_value()):
            raise ValueError("is not an http(s) URL, e.g. https://hooks.example.com/services/...")
        return url

    @field_validator("alert_channels")
    @classmethod
    def _check_channel_classes(cls, channels: list[str]) -> list[str]:
        for name in channels:
            if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", name):
                raise ValueError(f"{name!r} names no class: write package.module:Class")
        return channels

    @model_validator(mode="after")
    def _check_database_pair(self) -> Self:
        if (self.database_url is None) != (self.dagster_database_url is None):
            raise ValueError(
                "set both PALIMPSEST_DATABASE_URL and PALIMPSEST_DAGSTER_DATABASE_URL (two databases), or neither for the embedded server"
            )
        if self.database_url is not None and self.dagster_database_url is not None:
            ours, dagsters = (
                _identify_database(url.get_secret_value()) for url in (self.database_url, self.dagster_database_url)
            )
            if ours == dagsters:
                raise ValueError(
                    "PALIMPSEST_DATABASE_URL and PALIMPSEST_DAGSTER_DATABASE_URL name one database: make Dagster one of its own"
                )
        return self

    @model_validator(mode="after")
    def _check_silence_limit(self) -> Self:
        if self.silent_after_s < 2 * self.heartbeat_s:
            raise ValueError(
                f"PALIMPSEST_SILENT_AFTER_S ({self.silent_after_s:g}) must be twice PALIMPSEST_HEARTBEAT_S ({self.heartbeat_s:g}) or more: "
                "else a cycle that runs is taken for dead"
            )
        return self

    @property
    def home(self) -> Path:
        return self.home_dir.expanduser().absolute()

    @property
    def landing_root(self) -> str:
        return self.landing_url or str(self.home / "landing")

    @property
    def export_root(self) -> str:
        return self.export_url or str(self.home / "export")

    @property
    def report_path(self) -> Path:
        return self.home / "report" / "coverage.html"

    @property
    def dagster_home(self) -> Path:
        return self.home / "dagster"

    @property
    def is_embedded(self) -> bool:
        return self.database_url is None

    def platform(self, platform: Platform) -> PlatformSettings:
        settings: PlatformSettings = getattr(self, platform.value)
        return settings

    def to_masked_dict(self) -> dict[str, Any]:
        """Every setting as a flat `{environment name: value}`, with passwords and proxies hidden."""
        return {name: _mask_value(name, value) for name, value in _iterate_values("PALIMPSEST", self)}

    def list_secrets(self) -> list[str]:
        """Return what no text for people may show: secrets of these settings, and credentials of object stores in
        the environment.
        """
        databases = [
            url.get_secret_value() for url in (self.database_url, self.dagster_database_url) if url is not None
        ]
        brokers = [url.get_secret_value() for url in (self.celery_broker_url,) if url is not None]
        links = [url.get_secret_value() for url in (self.alert_webhook_url,) if url is not None]
        found = [secret for url in databases for secret in list_address_secrets(url, user_is_secret=False)]
        found += [secret for url in brokers for secret in list_address_secrets(url)]
        found += [secret for url in links for secret in list_link_secrets(url)]
        for platform in map(self.platform, Platform):
            found += Proxy.from_url(platform.proxy.get_secret_value()).secrets if platform.proxy else ()
            found += list_header_secrets({name: value.get_secret_value() for name, value in platform.headers.items()})
        return [secret for secret in found + list_store_secrets(os.environ) if secret.lower() not in UNMASKED_WORDS]

    def to_environment(self) -> dict[str, str]:
        """Every setting as an environment variable, secrets included, for a process of our own that shall see these
        settings and no others.
        """
        return {name: _format_for_environment(value) for name, value in _iterate_values("PALIMPSEST", self)}


def _iterate_values(prefix: str, model: BaseModel, separator: str = "_") -> Iterator[tuple[str, Any]]:
    for name in type(model).model_fields:
        value = getattr(model, name)
        full = f"{prefix}{separator}{name.upper()}"
        if isinstance(value, BaseModel):
            yield from _iterate_values(full, value, separator="__")
        else:
            yield full, value


def _mask_value(name: str, value: Any) -> Any:
    if isinstance(value, SecretStr):
        # Who knows the path of a webhook may post to it.
        return (
            "***"
            if name.endswith("WEBHOOK_URL")
            else mask_url(value.get_secret_value(), show_user=not name.endswith("PROXY"))
        )
    if isinstance(value, list | tuple):
        return json.dumps(value)
    if isinstance(value, dict):
        return dict.fromkeys(value, "***") if name.endswith("HEADERS") else json.dumps(value)
    return str(value) if isinstance(value, Path) else value


def _format_for_environment(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=_format_for_environment)
    return "" if value is None else str(value)


def mask_url(url: str, *, show_user: bool = True) -> str:
    """Return `url` with its password and secret query values hidden, with `user=False` the user's name too; text that
    is no URL is all hidden.

    A name without a password is hidden as well: it may be a token.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    if (
        not parts.scheme or "@" in parts.path
    ):  # an unescaped / in the password: what would be shown as host and path is part of it
        return "***"
    info, at, place = parts.netloc.rpartition("@")
    name, colon, _ = info.partition(":")
    shown = f"{name}:***" if show_user and colon else "***"
    query = "&".join(
        f"{k}={v if k.lower() in PUBLIC_QUERY_PARAMETERS else '***'}"
        for k, _, v in (p.partition("=") for p in parts.query.split("&") if p)
    )
    return urlunsplit((parts.scheme, f"{shown}{at}{place}" if at else place, parts.path, query, ""))


def _identify_database(url: str) -> tuple[str, str, str]:
    """Host, port and name of the database that the URL leads to, as libpq takes them when they are left out.

    Of what is no URL, itself.
    """
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        host, port = query.get("host") or parts.hostname or "localhost", query.get("port") or parts.port or 5432
    except ValueError:  # who connects says what is wrong with it; here it might show a password
        return "", "", url
    return host, str(port), query.get("dbname") or unquote(parts.path.removeprefix("/")) or parts.username or ""


def load_settings(**overrides: Any) -> Settings:
    """Return the settings of the environment and `.env`.

    Raises SettingsError that names each bad setting, or a line of the file that is wrong.
    """
    dotenv = _parse_dotenv(Path(DOTENV_FILE))
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = []
        for item in error.errors(include_url=False, include_input=False):
            parts = [
                str(part).upper() for part in item["loc"] if part != "[key]"
            ]  # pydantic's word for a key that is wrong itself
            name = ENV_PREFIX + "__".join(parts) if parts else "settings"
            lines.append(f"{name}: {item['msg'].removeprefix('Value error, ')}")
        raise SettingsError("; ".join(lines)) from None  # the cause holds the values
    except pydantic_settings.SettingsError as error:
        # Its message names the field, not the variable, and its cause shows the value, which may be secret.
        raise SettingsError(
            "; ".join(_list_settings_not_json(dotenv)) or f"settings that cannot be read: {error}"
        ) from None


def _list_settings_not_json(dotenv: Sequence[Binding]) -> list[str]:
    """Name the settings that must hold JSON and do not, each with its line in the file, and an example."""
    unset = Settings.model_construct()
    whole_platforms: dict[str, Any] = {
        f"{ENV_PREFIX}{name.upper()}": {}
        for name in Settings.model_fields
        if isinstance(getattr(unset, name), BaseModel)
    }
    defaults = whole_platforms | dict(_iterate_values("PALIMPSEST", unset))
    in_file = {
        binding.key: (f"{DOTENV_FILE}, line {_find_line(binding)}: ", binding.value)
        for binding in dotenv
        if binding.key
    }
    places = {**in_file, **{name: ("", value) for name, value in os.environ.items()}}
    lines = []
    for name, (place, value) in places.items():
        default = defaults.get(name.upper())
        if not value or not isinstance(default, dict | list | tuple):
            continue
        try:
            json.loads(value)
        except ValueError:
            example = (
                json.dumps(default)
                if default
                else '["first", "second"]'
                if isinstance(default, list)
                else '{"name": "value"}'
            )
            lines.append(f"{place}{name} is not JSON; write it like {example}")
    return lines


def _parse_dotenv(file: Path) -> list[Binding]:
    """Return the statements of the file; none without a file.

    Raises SettingsError that names the line of the first one that cannot be read.
    """
    if not file.is_file():
        return []
    try:
        content = file.read_bytes()
        text = content.decode(DOTENV_ENCODING)
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be read: {error.strerror or error}. Make it readable, or move it away."
        ) from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SettingsError(f"{file}, line {line}: this is not UTF-8. Save the file as UTF-8.") from error
    bindings = list(parse_stream(io.StringIO(text)))
    for binding in bindings:
        if binding.error:
            raise SettingsError(f"{file}, line {_find_line(binding)}: this is not NAME=value. Is a quote not closed?")
    return bindings


def _find_line(binding: Binding) -> int:
    """Return the line number of a statement. The parser counts the blank lines before it as part of it."""
    statement = binding.original.string
    return binding.original.line + statement[: len(statement) - len(statement.lstrip())].count("\n")
