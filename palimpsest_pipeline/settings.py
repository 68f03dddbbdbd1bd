"""The settings: read from `PALIMPSEST_*` variables, a `.env` file, or the defaults in this file.

Every name carries its unit. The settings of a platform are named `PALIMPSEST_PLATFORM__<KEY>__<NAME>`, with `_` for
the `-` of a key. Their defaults come from the platform's pack. Secrets are never printed: `to_masked_dict` hides them.
Other packages take plain values; `defs`, `operate` and `cli` translate the settings into them.
"""

import io
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Self, cast
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
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from palimpsest_pipeline.domain.enums import PLATFORM_PATTERN, FreshnessFamily, Platform, Severity, Sport
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
from palimpsest_pipeline.platforms.packs import PackError, PackPlatform, load_packs


class SettingsError(PalimpsestError):
    """Settings that cannot be used. The message names the setting and the remedy."""


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError for a bad port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _validate_http_url(url: str) -> str:
    if not _is_http_url(url):
        raise ValueError(f"{redact(url)!r} is not an http(s) URL, e.g. https://www.betpawa.ng")
    parts = urlsplit(url)
    if "@" in parts.netloc or parts.query or parts.fragment:
        # Many messages show this address, and the host's state is stored under it, so it must not contain a secret.
        raise ValueError(
            "write scheme and host only, e.g. https://www.betpawa.ng; keys and passwords for the site go into __HEADERS"
        )
    return url.rstrip("/")


def _validate_proxy_url(url: SecretStr) -> SecretStr:
    Proxy.from_url(url.get_secret_value())
    return url


def _validate_store_url(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    user_info = rest.partition("/")[0].rpartition("@")[0]
    if separator and (
        ":" in user_info or "?" in rest or (user_info and not scheme.lower().startswith(("abfs", "az", "sftp", "ssh")))
    ):
        raise ValueError(
            "write no password, key or query into this URL, because many messages show it: set them in the "
            "environment, under the names that the store's package reads (AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
            "for s3://; for any other FSSPEC_<SCHEME>_<ARGUMENT>, e.g. FSSPEC_SFTP_PASSWORD)"
        )
    return url


def _validate_broker_url(url: SecretStr) -> SecretStr:
    scheme, separator, _ = url.get_secret_value().partition("://")
    try:
        _ = urlsplit(url.get_secret_value()).port  # raises ValueError for a bad port
    except ValueError:
        separator = ""
    if not separator or scheme not in ("redis", "rediss", "amqp", "amqps"):
        raise ValueError(
            "not the URL of a broker: write redis://:PASSWORD@HOST:6379/0 or amqp://USER:PASSWORD@HOST:5672//, "
            "with @ : / ? # % in USER and PASSWORD percent-encoded (@ is %40)"
        )
    return url


HttpUrl = Annotated[str, AfterValidator(_validate_http_url)]
StoreUrl = Annotated[str, AfterValidator(_validate_store_url)]


ENV_PREFIX: Final = "PALIMPSEST_"
PLATFORM_PREFIX: Final = f"{ENV_PREFIX}PLATFORM__"
DOTENV_FILE: Final = ".env"

SERVICE_ADDRESS_PATTERN: Final = re.compile(r"(tcp|udp|sctp)://.+")
"""The form of the value that Kubernetes sets as NAME_PORT in every container for a service NAME."""
UNMASKED_WORDS: Final = frozenset({"dagster", "guest", "palimpsest", "password", "postgres", "redis"})
"""Words that also appear in our own messages.

A password that is one of these words is not hidden, because hiding it would spoil the messages and protect nothing.
"""
DEFAULT_PLATFORMS: Final = (Platform("betpawa"), Platform("sportybet"), Platform("bet9ja"))
DEFAULT_STALE_AFTER_MINUTES: Final[dict[FreshnessFamily, tuple[int, int]]] = {
    FreshnessFamily.DISCOVERY: (100, 190),
    FreshnessFamily.ODDS: (100, 190),
    FreshnessFamily.COVERAGE: (110, 200),
    FreshnessFamily.FIXTURE_LIFE: (180, 720),
    FreshnessFamily.EXPORT: (27 * 60, 51 * 60),
}
"""Ages in minutes above which the freshness check of a family of data warns and fails.

They allow a full cycle per hour, which takes up to half an hour, and data that is computed once an hour or once a day.
"""


class PlatformSettings(BaseModel):
    """The address of one platform, and the limits on requests to it."""

    model_config = ConfigDict(hide_input_in_errors=True)

    base_url: HttpUrl = Field(description="Address of the site: scheme and host, without a path")
    headers: dict[str, SecretStr] = Field(
        default={}, description="Headers to add to the platform's own headers, or to replace them"
    )
    user_agent: str | None = Field(default=None, description="User-Agent header; unset: the platform's own default")
    proxy: Annotated[SecretStr, AfterValidator(_validate_proxy_url)] | None = Field(
        default=None, description="Proxy URL; the sites block addresses of data centres"
    )
    max_in_flight: int = Field(ge=1, description="Maximum number of requests at the same time")
    min_gap_s: float = Field(default=0, ge=0, description="Minimum time between two starts, seconds")
    jitter_s: float = Field(
        default=0, ge=0, description="Random extra time on top of each gap, from 0 up to this, seconds"
    )
    max_per_s: float | None = Field(
        default=None, gt=0, description="Maximum number of requests started in any second; unset: no such limit"
    )
    total_timeout_s: float = Field(default=45, gt=0, description="Time limit for a whole answer, seconds")
    max_attempts: int = Field(default=3, ge=1, description="Maximum number of attempts per request, the first included")
    backoff_max_s: float = Field(
        default=10,
        ge=0,
        description="Upper limit of the random wait before another attempt, seconds; the wait before the second is at "
        "most 0.5 s, and doubles with each further one",
    )
    give_up_s: float = Field(
        default=60,
        gt=0,
        description="A host that gave no good answer during this time of pauses gets no more requests in this "
        "scrape, seconds",
    )
    max_discovery_lists: int = Field(
        default=200,
        ge=1,
        description="Most lists (pages or competitions) that one discovery requests; with more lists it is partial",
    )
    max_body_bytes: int = Field(
        default=8 * 2**20, ge=1024, description="Largest body of an answer after decompression, bytes"
    )
    params: dict[str, str] = Field(default={}, description="The params of its pack, by name")


def name_platform_variable(platform: Platform, name: str) -> str:
    """Return the variable of a platform's setting."""
    return f"{PLATFORM_PREFIX}{platform.upper().replace('-', '_')}__{name.upper()}"


def parse_platform_variable(name: str) -> tuple[Platform, str] | None:
    """Return the platform and the setting that a variable sets; None for any other variable.

    The setting is `headers__<name>` for a single header.
    """
    if not name.upper().startswith(PLATFORM_PREFIX):
        return None
    key, separator, setting = name.lower().removeprefix(PLATFORM_PREFIX.lower()).partition("__")
    if not separator or ("__" in setting and not setting.startswith("headers__")):
        return None
    return Platform(key.replace("_", "-")), setting


def fill_platform_settings(pack_platform: PackPlatform, changed: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values for `PlatformSettings`: those of `changed`, else those of the pack.

    Raises ValueError for a param whose value is not one of its choices.
    """
    limits = pack_platform.pack.content.limits
    own_names = pack_platform.pack.content.params.keys()
    own_values = {**changed.get("params", {}), **{name: value for name, value in changed.items() if name in own_names}}
    return {
        "base_url": pack_platform.country.base_url,
        **{name: getattr(limits, name) for name in limits.__struct_fields__},
        **{name: value for name, value in changed.items() if name not in own_names},
        "params": pack_platform.fill_params(own_values),
    }


class _PlatformVariables(PydanticBaseSettingsSource):
    """The variables of platforms in the environment or the file, as `{"platform": {key: {name: value}}}`.

    The variable of a single header wins over the one with all headers as JSON. Other headers are kept.
    """

    def __init__(self, settings_cls: type[BaseSettings], source: PydanticBaseSettingsSource) -> None:
        super().__init__(settings_cls)
        self._source = cast(EnvSettingsSource, source)

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        variables = self._source.env_vars
        # The source would read other forms of these names, such as the JSON of all platforms.
        self._source.env_vars = {
            name: text for name, text in variables.items() if not f"{name.upper()}__".startswith(PLATFORM_PREFIX)
        }
        platforms: dict[Platform, dict[str, Any]] = {}
        for name in sorted(variables):  # HEADERS comes before HEADERS__COOKIE
            if (place := parse_platform_variable(name)) is None:
                continue
            values = platforms.setdefault(place[0], {})
            field_name, _, header = place[1].partition("__")
            text = variables[name] or ""
            if field_name != "headers":
                values[field_name] = text
                continue
            try:
                headers = {header: text} if header else _read_headers(text)
            except ValueError as error:
                raise pydantic_settings.SettingsError(f"{name} {error}") from error
            values["headers"] = {**values.get("headers", {}), **headers}
        return {"platform": platforms} if platforms else {}


def _read_headers(text: str) -> dict[str, Any]:
    """Return the headers in a JSON object. Their names have no case, and variables have none either.

    Raises ValueError without the text, which may be secret.
    """
    headers = _read_json(text)
    if not isinstance(headers, dict):
        raise ValueError("is not a JSON object of the right shape")
    return {name.lower(): value for name, value in headers.items()}


DOTENV_ENCODING: Final = "utf-8-sig"
"""UTF-8, with or without the byte order mark that some editors write at the start of a file."""


class Settings(BaseSettings):
    """All settings. Construct them with `load_settings()`, which reports a bad value in one clear line."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        env_file=DOTENV_FILE,
        env_file_encoding=DOTENV_ENCODING,
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,  # a traceback would show the value, which may be secret
    )

    home_dir: Path = Field(
        default=Path(".palimpsest"), description="Folder of the embedded Postgres, the landing and Dagster's instance"
    )
    database_url: SecretStr | None = Field(
        default=None, description="Your own Postgres 15 or newer; unset: the embedded one"
    )
    dagster_database_url: SecretStr | None = Field(
        default=None, description="Dagster's own database; required when database_url is set"
    )
    celery_broker_url: Annotated[SecretStr, AfterValidator(_validate_broker_url)] | None = Field(
        default=None,
        description="Broker (Redis, RabbitMQ) that hands runs to `palimpsest worker`; unset: this machine "
        "executes the runs",
    )
    max_concurrent_runs: int = Field(
        default=4,
        ge=1,
        description="Most runs at the same time; others wait in the queue. From 4 on, two places are reserved for "
        "scrapes and one for a backfill; derivations use the rest. With fewer, a scrape may wait for other runs",
    )
    landing_url: StoreUrl | None = Field(
        default=None, description="Folder or object-store URL of the landing; unset: <home_dir>/landing"
    )
    export_url: StoreUrl | None = Field(
        default=None, description="Folder or object-store URL of the exported odds history; unset: <home_dir>/export"
    )
    platforms: Annotated[list[Platform], NoDecode] = Field(
        default=list(DEFAULT_PLATFORMS),
        min_length=2,
        description="Platforms to request, separated by commas. The key of a platform is the name of its pack, "
        "followed by -<country> outside the pack's default country; `palimpsest platforms list` shows all",
    )
    home_platform: Platform = Field(
        default=DEFAULT_PLATFORMS[0], description="Platform with which the other platforms are compared"
    )
    sport: Sport = Field(default=Sport.FOOTBALL, description="Sport to scrape")
    platform: dict[Platform, PlatformSettings] = Field(
        default={}, validate_default=True, description="Settings of single platforms, by their keys"
    )
    full_cycle_minutes: int = Field(
        default=30, ge=1, le=60, description="Minutes between two scheduled full cycles; must divide 60"
    )
    kickoff_tiers: dict[int, int] = Field(
        default={120: 5, 30: 1},
        min_length=1,
        description="Request cadence before kickoff: {minutes before kickoff: minutes between two requests of a "
        "fixture}",
    )
    kickoff_slot_minutes: int = Field(
        default=5, ge=1, le=60, description="Minutes of the kickoff cadence that one run covers; must divide 60"
    )
    kickoff_ingest_s: float = Field(
        default=10,
        ge=0,
        lt=60,
        description="A kickoff cycle stops its requests this long before the next one is due, to store its "
        "odds, seconds",
    )
    urgent_share: float = Field(
        default=0.3,
        ge=0,
        lt=1,
        description="Share of each host's limits that is reserved for a kickoff cycle, and the same share for an "
        "on-demand cycle; full cycles use the rest. 0: every cycle uses all of them",
    )
    grace_minutes: int = Field(
        default=10,
        ge=0,
        lt=60,
        description="Minutes after midnight UTC in which a live run may still belong to the day before",
    )
    first_day: date | None = Field(
        default=None,
        description="First UTC day of Dagster's partitions, e.g. 2026-06-26; unset: the day written in the home "
        "folder. Set the same day on all machines when each machine has its own home folder",
    )
    heartbeat_s: float = Field(
        default=5,
        gt=0,
        description="Seconds between two heartbeats of a running cycle; each also records the finished requests",
    )
    silent_after_s: float = Field(
        default=30,
        gt=0,
        description="A cycle without a heartbeat for this long counts as dead, seconds; at least two heartbeats",
    )
    landing_retention_days: int = Field(
        default=7, ge=1, description="Days to keep raw answers that are derived and exported"
    )
    history_hot_days: int = Field(
        default=7, ge=1, description="Whole days of odds history in Postgres, besides today; older days are in Parquet"
    )
    run_retention_days: int = Field(default=30, ge=2, description="Days to keep Dagster's logs of finished runs")
    fixture_life_retention_days: int = Field(
        default=30, ge=1, description="Days after kickoff to keep the tables of a fixture's life"
    )
    not_observed_after_minutes: float = Field(
        default=90,
        gt=0,
        description="A listing counts as not observed when its last answer is older than this, minutes",
    )
    storage_limit_gb: float = Field(
        default=100,
        gt=0,
        description="A check fails when tables, landing and export together are larger than this, 10^9 bytes",
    )
    stale_after_minutes: dict[FreshnessFamily, tuple[int, int]] = Field(
        default={},
        validate_default=True,
        description="Age of the newest data of a family at which a check warns, and at which it fails, minutes; "
        "a family that is not named keeps its default",
    )
    min_mapped_rate: float = Field(
        default=0.95, ge=0, le=1, description="A check warns when less of a platform's markets is mapped, share of 1"
    )
    max_refused_share: float = Field(
        default=0.05,
        ge=0,
        lt=1,
        description="A platform's part of a cycle is partial when more of its answers than this are unreadable, "
        "share of 1",
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
        description="Keys of the markets whose margins are recorded over time, most important first",
    )
    max_skew_s: float = Field(
        default=120,
        gt=0,
        description="Two platforms' prices are compared when their observations are at most this far apart, seconds",
    )
    odds_alert_levels: tuple[float, float, float] = Field(
        default=(0.05, 0.08, 0.12),
        description="Changes of a price's implied probability (1 / odds) at which an alert to traders is low, medium "
        "and high, shares of 1",
    )
    odds_alert_max_odds: float = Field(
        default=10,
        gt=1,
        description="An outcome causes no alert to traders when both compared odds are above this",
    )
    odds_alert_markets: list[str] = Field(
        default=[],
        description="Keys of the markets watched for alerts to traders; []: those of PALIMPSEST_MAIN_MARKETS; "
        '["*"]: every market',
    )
    odds_alert_window_minutes: float = Field(
        default=60, gt=0, description="A change is measured against the price this long before, minutes"
    )
    odds_alert_days: float = Field(
        default=3, gt=0, description="Alerts to traders are raised for fixtures that kick off within this time, days"
    )
    odds_alert_calm: float = Field(
        default=0.7,
        gt=0,
        lt=1,
        description="An alert to traders closes when the change is below this share of the lowest level",
    )
    push_rules_file: Path | None = Field(
        default=None, description="File of the rules for messages to traders; unset: push.toml in the home folder"
    )
    sender_database_url: SecretStr | None = Field(
        default=None,
        description="Database URL of the process that sends messages to traders; unset: the role palimpsest_sender on "
        "the program's own database, without a password",
    )
    price_lead_min_rise: float = Field(
        default=0.03,
        gt=0,
        lt=1,
        description="A price moves when an outcome's fair probability rises by this between two answers, share of 1",
    )
    price_lead_window_minutes: float = Field(
        default=60, gt=0, description="Events of two platforms are compared when at most this far apart, minutes"
    )
    price_lead_steam_minutes: float = Field(
        default=10,
        gt=0,
        description="Two successive moves of a steam certainly lie within this time, minutes: from the last answer "
        "before the first of them to the answer after the second. Platforms that are requested every 5 minutes need 10",
    )
    price_lead_steam_platforms: int = Field(
        default=3, ge=2, description="Number of platforms that move the same way to make a steam"
    )
    alert_webhook_url: SecretStr | None = Field(
        default=None, description="URL that alerts are posted to, as JSON with a field `text` for chat services"
    )
    alert_channels: list[str] = Field(
        default=[], description="Further alert channels, each a class named as package.module:Class"
    )
    alert_least_severity: Severity = Field(
        default=Severity.WARN, description="Alerts below this severity are recorded but not sent: warn or error"
    )
    alert_settle_minutes: float = Field(
        default=5,
        ge=0,
        description="A problem that returns within this time after its end continues the same alert, minutes",
    )
    report_days: int = Field(default=7, ge=1, description="Days that the coverage page looks back")
    ui_port: int = Field(default=3000, ge=1, le=65535, description="Port of Dagster's UI on loopback")
    board_port: int = Field(
        default=3001, ge=0, le=65535, description="Port of the traders' board; 0: `palimpsest up` starts no board"
    )
    board_host: str = Field(
        default="127.0.0.1",
        pattern=r"^[\w.:-]+$",
        description="Address at which the board listens. Any other than loopback needs board_token",
    )
    board_token: SecretStr | None = Field(
        default=None, description="Secret that a browser must give once to open the board; unset: none on loopback"
    )
    board_database_url: SecretStr | None = Field(
        default=None,
        description="URL with which the board reads your own Postgres, of a user that cannot write; unset: the "
        "address of database_url with the user palimpsest_analyst and without a password",
    )
    umask: str = Field(
        default="077",
        pattern="^0?[0-7]{3}$",
        description="Permissions that new files and folders lack, octal. 027 lets your group read an export outside "
        "the home folder",
    )
    clock_offset_s: float = Field(
        default=0, description="Shift of the pipeline's clock, seconds; for simulated worlds only"
    )
    embedded_port: int | None = Field(
        default=None,
        ge=1024,
        le=65535,
        description="Port on 127.0.0.1 at which the embedded Postgres also accepts roles with a password; unset: none",
    )
    embedded_durable: bool = Field(
        default=True, description="False makes the embedded Postgres faster but not crash-safe; for demo and tests"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            _PlatformVariables(settings_cls, env_settings),
            env_settings,
            _PlatformVariables(settings_cls, dotenv_settings),
            dotenv_settings,
        )

    @field_validator("platforms", mode="before")
    @classmethod
    def _split_platforms(cls, keys: Any) -> Any:
        if isinstance(keys, str):
            keys = json.loads(keys) if keys.strip().startswith("[") else keys.split(",")
        return [key.strip() if isinstance(key, str) else key for key in keys]

    @field_validator("platforms")
    @classmethod
    def _check_platforms(cls, keys: list[Platform]) -> list[Platform]:
        for key in keys:
            if not PLATFORM_PATTERN.fullmatch(key):
                raise ValueError(f"{key!r} is not the key of a platform; `palimpsest platforms list` shows all keys")
            if keys.count(key) > 1:
                raise ValueError(f"{key} appears twice")
        return keys

    @field_validator("home_platform")
    @classmethod
    def _check_home(cls, home: Platform, info: ValidationInfo) -> Platform:
        platforms = info.data.get("platforms", [home])
        if home not in platforms:
            raise ValueError(f"{home!r} is not one of PALIMPSEST_PLATFORMS ({', '.join(platforms)})")
        return home

    @field_validator("platform", mode="before")
    @classmethod
    def _fill_platforms(cls, changed: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        """Return the settings of every active platform, and of every other platform that has a variable.

        A platform without an installed pack is left out.
        """
        installed = load_packs().platforms
        keys = dict.fromkeys((*info.data.get("platforms", ()), *map(Platform, changed)))
        return {
            key: values
            if isinstance(values := changed.get(key, {}), PlatformSettings)
            else fill_platform_settings(installed[key], values)
            for key in keys
            if key in installed
        }

    @field_validator("stale_after_minutes")
    @classmethod
    def _check_stale_limits(
        cls, limits: dict[FreshnessFamily, tuple[int, int]]
    ) -> dict[FreshnessFamily, tuple[int, int]]:
        for family, (warn, fail) in limits.items():
            if not 0 < warn <= fail:
                raise ValueError(
                    f"{family}: [{warn}, {fail}] are not two ages in minutes, first to warn and then to fail, "
                    f'e.g. {{"{family}": [100, 190]}}'
                )
        return {**DEFAULT_STALE_AFTER_MINUTES, **limits}

    @field_validator("ui_port", "board_port", "embedded_port", mode="before")
    @classmethod
    def _ignore_addresses_of_services(cls, value: Any, info: ValidationInfo) -> Any:
        """Return the default if the value is an address that Kubernetes sets.

        A service named palimpsest-ui, for example, sets PALIMPSEST_UI_PORT in every container, and without this no
        command would start.
        """
        is_address = isinstance(value, str) and SERVICE_ADDRESS_PATTERN.fullmatch(value) is not None
        return cls.model_fields[info.field_name or ""].default if is_address else value

    @field_validator("full_cycle_minutes", "kickoff_slot_minutes")
    @classmethod
    def _check_divides_hour(cls, minutes: int) -> int:
        if 60 % minutes:
            raise ValueError(
                f"{minutes} does not divide the hour: take one of "
                f"{', '.join(str(m) for m in range(1, 61) if 60 % m == 0)}"
            )
        return minutes

    @field_validator("kickoff_tiers")
    @classmethod
    def _check_tiers_become_denser(cls, tiers: dict[int, int]) -> dict[int, int]:
        ordered = dict(sorted(tiers.items(), reverse=True))
        intervals = list(ordered.values())
        if (
            min(*ordered, *intervals) < 1
            or max(ordered) > 7 * 24 * 60
            or any(1440 % minutes for minutes in intervals)
            or intervals != sorted(intervals, reverse=True)
        ):
            raise ValueError(
                f"{tiers} is not a cadence: write {{minutes before kickoff: minutes between two requests}}. "
                "The first is at "
                "most 10080; the second divides the day and becomes smaller towards kickoff, "
                'e.g. {"120": 5, "30": 1}'
            )
        return ordered

    @field_validator("main_markets")
    @classmethod
    def _check_unique_markets(cls, keys: list[str]) -> list[str]:
        if duplicates := sorted({key for key in keys if keys.count(key) > 1}):
            raise ValueError(f"{', '.join(duplicates)} is there twice")
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
    def _check_steam_window(self) -> Self:
        if self.price_lead_steam_minutes > self.price_lead_window_minutes:
            raise ValueError(
                "PALIMPSEST_PRICE_LEAD_STEAM_MINUTES is above PALIMPSEST_PRICE_LEAD_WINDOW_MINUTES: a steam is made of "
                "moves that are compared"
            )
        return self

    @model_validator(mode="after")
    def _check_database_pair(self) -> Self:
        if (self.database_url is None) != (self.dagster_database_url is None):
            raise ValueError(
                "set both PALIMPSEST_DATABASE_URL and PALIMPSEST_DAGSTER_DATABASE_URL (two databases), or neither to "
                "use the embedded server"
            )
        if self.database_url is not None and self.dagster_database_url is not None:
            pipeline_database, dagster_database = (
                _identify_database(url.get_secret_value()) for url in (self.database_url, self.dagster_database_url)
            )
            if pipeline_database == dagster_database:
                raise ValueError(
                    "PALIMPSEST_DATABASE_URL and PALIMPSEST_DAGSTER_DATABASE_URL name the same database: create "
                    "another one for Dagster"
                )
        return self

    @model_validator(mode="after")
    def _check_silence_limit(self) -> Self:
        if self.silent_after_s < 2 * self.heartbeat_s:
            raise ValueError(
                f"PALIMPSEST_SILENT_AFTER_S ({self.silent_after_s:g}) must be at least twice PALIMPSEST_HEARTBEAT_S "
                f"({self.heartbeat_s:g}): otherwise a running cycle counts as dead"
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

    def get_platform(self, platform: Platform) -> PlatformSettings:
        """Return the settings of a platform, or the defaults of its pack. Raises PackError without a pack."""
        if platform in self.platform:
            return self.platform[platform]
        return PlatformSettings.model_validate(fill_platform_settings(load_packs().require(platform), {}))

    def to_masked_dict(self) -> dict[str, Any]:
        """Return every setting as `{environment variable: value}`, with passwords and proxies hidden."""
        return {name: _mask_value(name, value) for name, value in _iterate_values(self)}

    def list_secrets(self) -> list[str]:
        """Return the strings that must not appear in messages and logs.

        They are the secrets of these settings, and the credentials of object stores in the environment.
        """
        databases = [
            url.get_secret_value()
            for url in (
                self.database_url,
                self.dagster_database_url,
                self.sender_database_url,
                self.board_database_url,
            )
            if url is not None
        ]
        brokers = [url.get_secret_value() for url in (self.celery_broker_url,) if url is not None]
        links = [url.get_secret_value() for url in (self.alert_webhook_url,) if url is not None]
        secrets = [secret for url in databases for secret in list_address_secrets(url, user_is_secret=False)]
        secrets += [secret for url in brokers for secret in list_address_secrets(url)]
        secrets += [secret for url in links for secret in list_link_secrets(url)]
        secrets += [self.board_token.get_secret_value()] if self.board_token is not None else []
        for platform in self.platform.values():
            secrets += Proxy.from_url(platform.proxy.get_secret_value()).secrets if platform.proxy else ()
            secrets += list_header_secrets({name: value.get_secret_value() for name, value in platform.headers.items()})
        return [secret for secret in secrets + list_store_secrets(os.environ) if secret.lower() not in UNMASKED_WORDS]

    def to_environment(self) -> dict[str, str]:
        """Return every setting as an environment variable, secrets included.

        They are for child processes, so that these read exactly these settings.
        """
        return {name: _format_for_environment(name, value) for name, value in _iterate_values(self)}


def _iterate_values(settings: Settings) -> Iterator[tuple[str, Any]]:
    for name in Settings.model_fields:
        if name == "platform":
            for platform, values in settings.platform.items():
                yield from _iterate_platform_values(platform, values)
        else:
            yield f"{ENV_PREFIX}{name.upper()}", getattr(settings, name)


def _iterate_platform_values(platform: Platform, values: PlatformSettings) -> Iterator[tuple[str, Any]]:
    for name in PlatformSettings.model_fields:
        if name != "params":
            yield name_platform_variable(platform, name), getattr(values, name)
    for name, value in values.params.items():
        yield name_platform_variable(platform, name), value


def list_setting_names() -> list[str]:
    """Return the variables of all settings, with those of every installed platform."""
    names = [f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields if name != "platform"]
    own_names = [name for name in PlatformSettings.model_fields if name != "params"]
    for platform, pack_platform in load_packs().platforms.items():
        names += [name_platform_variable(platform, name) for name in (*own_names, *pack_platform.pack.content.params)]
    return names


PLATFORMS_VARIABLE: Final = f"{ENV_PREFIX}PLATFORMS"


def _mask_value(name: str, value: Any) -> Any:
    if isinstance(value, SecretStr):
        # The path of a webhook's address is secret too, because anyone who knows it can post there.
        return (
            "***"
            if name.endswith("WEBHOOK_URL")
            else mask_url(value.get_secret_value(), show_user=not name.endswith("PROXY"))
        )
    if name == PLATFORMS_VARIABLE:
        return ",".join(value)
    if isinstance(value, list | tuple):
        return json.dumps(value)
    if isinstance(value, dict):
        return dict.fromkeys(value, "***") if name.endswith("HEADERS") else json.dumps(value)
    return str(value) if isinstance(value, Path) else value


def _format_for_environment(name: str, value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if name == PLATFORMS_VARIABLE:
        return ",".join(value)
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, default=lambda item: _format_for_environment("", item))
    return "" if value is None else str(value)


def mask_url(url: str, *, show_user: bool = True) -> str:
    """Return `url` with its password and its secret query values hidden.

    With `show_user=False` the user's name is hidden too. A user name without a password is always hidden, because it
    may be a token. Text that is not a URL is hidden entirely.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    # An unescaped / in a password splits the URL there, so parts of the password would be shown as host and path.
    if not parts.scheme or "@" in parts.path:
        return "***"
    user_info, at_sign, host = parts.netloc.rpartition("@")
    name, colon, _ = user_info.partition(":")
    masked_user = f"{name}:***" if show_user and colon else "***"
    query = "&".join(
        f"{k}={v if k.lower() in PUBLIC_QUERY_PARAMETERS else '***'}"
        for k, _, v in (p.partition("=") for p in parts.query.split("&") if p)
    )
    return urlunsplit((parts.scheme, f"{masked_user}{at_sign}{host}" if at_sign else host, parts.path, query, ""))


def _identify_database(url: str) -> tuple[str, str, str]:
    """Return host, port and name of the database that `url` means, with libpq's defaults.

    Text that is not a URL is returned as its own identity.
    """
    try:
        parts = urlsplit(url)
        query = dict(parse_qsl(parts.query))
        host, port = query.get("host") or parts.hostname or "localhost", query.get("port") or parts.port or 5432
    except ValueError:  # connecting reports the error later; a message here might show a password
        return "", "", url
    return host, str(port), query.get("dbname") or unquote(parts.path.removeprefix("/")) or parts.username or ""


def load_settings(**overrides: Any) -> Settings:
    """Return the settings of the environment and `.env`; `overrides` come first.

    Raises SettingsError that names each bad setting, the bad line of the file, or two packs with the same name, and
    TypeError for an override that is not a setting.
    """
    if unknown := overrides.keys() - Settings.model_fields.keys():
        raise TypeError(f"not the name of a setting: {', '.join(sorted(unknown))}")
    dotenv = _parse_dotenv(Path(DOTENV_FILE))
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = []
        for item in error.errors(include_url=False, include_input=False):
            # Pydantic adds "[key]" to the location when the key itself is invalid.
            parts = [str(part).upper().replace("-", "_") for part in item["loc"] if part != "[key]"]
            name = ENV_PREFIX + "__".join(parts) if parts else "settings"
            lines.append(f"{name}: {item['msg'].removeprefix('Value error, ')}")
        raise SettingsError("; ".join(lines)) from None  # without the cause, which contains the values
    except pydantic_settings.SettingsError as error:
        # Pydantic's message names the field and not the variable, and its cause contains the value, which may be
        # secret.
        raise SettingsError(
            "; ".join(_list_unreadable_settings(dotenv)) or f"settings cannot be read: {error}"
        ) from None
    except PackError as error:  # two packs have the same name, so the set of platforms is not known
        raise SettingsError(str(error)) from error


def read_variable(name: str) -> str | None:
    """Return the value of any variable of the environment or `.env`; None when it is empty or missing.

    Raises SettingsError for a `.env` that cannot be read.
    """
    if value := os.environ.get(name):
        return value
    values = {binding.key: binding.value for binding in _parse_dotenv(Path(DOTENV_FILE))}
    return values.get(name) or None


def _list_unreadable_settings(dotenv: Sequence[Binding]) -> list[str]:
    """Return a line for each setting that must be JSON and is not, or is of another shape.

    The line has its name, its place, an example.
    """
    defaults = dict(_iterate_values(Settings.model_construct(platform={})))
    in_file = {
        binding.key: (f"{DOTENV_FILE}, line {_find_line(binding)}: ", binding.value)
        for binding in dotenv
        if binding.key
    }
    places = {**in_file, **{name: ("", value) for name, value in os.environ.items()}}
    lines = []
    for name, (place, value) in places.items():
        if not value or name.upper() == PLATFORMS_VARIABLE:
            continue
        platform_variable = parse_platform_variable(name)
        default = defaults.get(name.upper()) if platform_variable is None else {}
        try:
            if platform_variable is not None:
                if platform_variable[1] == "headers":
                    _read_headers(value)
            elif isinstance(default, dict | list | tuple):
                _read_json(value)
        except ValueError as error:
            example = (
                json.dumps(default)
                if default
                else '["first", "second"]'
                if isinstance(default, list)
                else '{"name": "value"}'
            )
            lines.append(f"{place}{name} {error}; write it like {example}")
    return lines


def _read_json(text: str) -> Any:
    """Return the value. Raises ValueError without the text, which may be secret."""
    try:
        return json.loads(text)
    except ValueError:
        raise ValueError("is not JSON") from None


def _parse_dotenv(file: Path) -> list[Binding]:
    """Return the statements of the file; an empty list when there is no file.

    Raises SettingsError with the first line that cannot be read.
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
    """Return the line number of a statement; the parser counts the blank lines before it as part of it."""
    statement = binding.original.string
    return binding.original.line + statement[: len(statement) - len(statement.lstrip())].count("\n")
