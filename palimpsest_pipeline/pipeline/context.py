"""The class `Pipeline`: database, landing, archive, platforms and clock, built from the settings.

Imports no Dagster.
"""

import logging
import os
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import psycopg

from palimpsest_pipeline.domain.enums import WHOLE_LISTING_KEY, Platform, Scope
from palimpsest_pipeline.domain.instants import Clock
from palimpsest_pipeline.domain.platform_trust import put_home_first
from palimpsest_pipeline.domain.proxy import Proxy
from palimpsest_pipeline.domain.secrets import list_header_secrets
from palimpsest_pipeline.landing import Landing, Manifest
from palimpsest_pipeline.markets import Vocabulary
from palimpsest_pipeline.platforms.base import PlatformAdapter
from palimpsest_pipeline.platforms.packs import PackError, load_packs
from palimpsest_pipeline.platforms.registry import build_adapter, join_parser_versions
from palimpsest_pipeline.runtime.embedded_postgres import EmbeddedPostgres
from palimpsest_pipeline.runtime.server_sharing import LOCK_FILE
from palimpsest_pipeline.scrape import ScrapeEngine, build_host_setups
from palimpsest_pipeline.scrape.engine import HostHold
from palimpsest_pipeline.scrape.host_budget import BreakerRule, HostBudget
from palimpsest_pipeline.scrape.kickoff_cadence import Cadence
from palimpsest_pipeline.scrape.sinks import AnswerSink, ScrapeObserver
from palimpsest_pipeline.settings import DEFAULT_PLATFORMS, Settings, SettingsError
from palimpsest_pipeline.storage.archive import Archive
from palimpsest_pipeline.storage.db.connection import Database
from palimpsest_pipeline.storage.derivation.due_products import CycleVersions
from palimpsest_pipeline.storage.ledger.known_platforms import KnownPlatform, write_platforms
from palimpsest_pipeline.wire import HostConfig

from .ingest.book_reader import BookReader
from .ingest.books import ListingCache
from .installed_vocabulary import find_vocabulary_problems, load_installed_vocabulary

log = logging.getLogger(__name__)

DATABASE_NAMES = ("palimpsest", "dagster")
"""Names of the program's own database and of the database for Dagster's storage."""


def make_home(settings: Settings) -> Path:
    """Return the home folder; create it if it is missing, with access for its owner only.

    If root runs the program, the embedded server runs as another user. That user may pass through the folder, and
    cannot read the files in it. Raises SettingsError when the folder cannot be made.
    """
    home, mode = settings.home, 0o711 if os.geteuid() == 0 and settings.is_embedded else 0o700
    try:
        missing = [folder for folder in (home, *home.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(exist_ok=True)
            folder.chmod(mode)
        if (home / LOCK_FILE).exists() and home.stat().st_uid == os.geteuid():
            home.chmod(mode)  # another kind of database, or another user, needs another mode
    except OSError as error:
        raise SettingsError(
            f"cannot make the folder {home}: {error.strerror}; choose one that you can write (PALIMPSEST_HOME_DIR)"
        ) from error
    return home


def make_embedded_server(settings: Settings) -> EmbeddedPostgres:
    """Return the embedded server of these settings, without starting it."""
    return EmbeddedPostgres(
        settings.home / "postgres",
        databases=DATABASE_NAMES,
        durable=settings.embedded_durable,
        tcp_port=settings.embedded_port,
    )


@dataclass(frozen=True)
class Pipeline:
    """The data stores and the clock, and the adapter and request budget of each platform, for all assets."""

    settings: Settings
    progress: ScrapeObserver | None = None
    """An observer that receives the events of every scrape, in addition to the log of the Dagster run."""

    @cached_property
    def clock(self) -> Clock:
        return Clock(self.settings.clock_offset_s)

    @cached_property
    def database(self) -> Database:
        """The program's own database. Without a URL in the settings, this starts or joins the embedded server."""
        if self.settings.database_url is not None:
            return Database(self.settings.database_url.get_secret_value())
        server = make_embedded_server(self.settings)
        server.start()
        return Database(server.build_url(DATABASE_NAMES[0]))

    @cached_property
    def landing(self) -> Landing:
        return Landing(self.settings.landing_root, self.book_reader.offer)

    @cached_property
    def book_reader(self) -> BookReader:
        return BookReader(lambda: self.landing, self.get_adapter, lambda: self.vocabulary)

    @cached_property
    def seen_listings(self) -> ListingCache:
        return ListingCache()

    @cached_property
    def archive(self) -> Archive:
        return Archive(self.settings.export_root, requires_marker=True)

    @cached_property
    def vocabulary(self) -> Vocabulary:
        return load_installed_vocabulary()

    @cached_property
    def main_markets(self) -> tuple[str, ...]:
        """Keys of the markets whose margins are stored over time, most important first.

        Raises SettingsError for a market that is not in the vocabulary, or for which no margin can be computed.
        """
        fair_sums = dict(self.vocabulary.markets.select("market_key", "fair_sum").iter_rows())
        keys = self.settings.main_markets
        if unknown := [key for key in keys if key not in fair_sums]:
            raise SettingsError(
                f"PALIMPSEST_MAIN_MARKETS: the vocabulary has no market {', '.join(unknown)}; `palimpsest markets list"
                " --search TEXT` finds its keys"
            )
        if without_margin := [key for key in keys if not (fair_sums[key] or "").isdecimal()]:
            raise SettingsError(
                f"PALIMPSEST_MAIN_MARKETS: {', '.join(without_margin)} can have no margin, because the number of its"
                " winning outcomes is not known or varies; leave it out (`palimpsest markets show KEY` says which"
                " markets have one)"
            )
        return tuple(keys)

    @cached_property
    def odds_alert_markets(self) -> tuple[str, ...] | None:
        """Keys of the markets for which alerts to traders are computed; None means all markets.

        Raises SettingsError for a market that is not in the vocabulary.
        """
        keys = self.settings.odds_alert_markets
        if keys == [WHOLE_LISTING_KEY]:
            return None
        if unknown := [key for key in keys if key not in self.vocabulary.markets["market_key"]]:
            raise SettingsError(
                f"PALIMPSEST_ODDS_ALERT_MARKETS: the vocabulary has no market {', '.join(unknown)}; `palimpsest markets"
                ' list --search TEXT` finds its keys, and ["*"] stands for every market'
            )
        return tuple(keys) or self.main_markets

    @cached_property
    def adapters(self) -> Mapping[Platform, PlatformAdapter]:
        """The adapters of the active platforms, most trusted first.

        A platform whose pack cannot be used is left out, and `doctor` names it. Raises SettingsError when home is such
        a platform.
        """
        adapters = {}
        for platform in load_packs().order_by_trust(self.settings.platforms):
            try:
                adapters[platform] = self.get_adapter(platform)
            except PackError as error:
                log.warning("%s is left out: %s", platform, error)
        if self.settings.home_platform not in adapters:
            raise SettingsError(f"PALIMPSEST_HOME_PLATFORM: {self.settings.home_platform} has no pack that can be used")
        return adapters

    @cached_property
    def _installed_adapters(self) -> dict[Platform, PlatformAdapter]:
        return {}

    def get_adapter(self, platform: Platform) -> PlatformAdapter:
        """Return the adapter of an installed platform, active or not. Raises PackError."""
        if platform not in self._installed_adapters:
            name = load_packs().require(platform).pack.name
            if (problem := find_vocabulary_problems().get(name)) is not None:
                raise PackError(f"the vocabulary of the pack {name} cannot be read: {problem}")
            platform_settings = self.settings.get_platform(platform)
            self._installed_adapters[platform] = build_adapter(
                platform, platform_settings.params, platform_settings.max_discovery_lists
            )
        return self._installed_adapters[platform]

    @property
    def platforms(self) -> tuple[Platform, ...]:
        """The active platforms, most trusted first."""
        return tuple(self.adapters)

    def list_cycle_platforms(self, manifest: Manifest) -> tuple[Platform, ...]:
        """Return the platforms that a cycle covers, home among them, most trusted first.

        Cycles of versions that did not write them cover the default ones.
        """
        return load_packs().order_by_trust((manifest.home_platform, *(manifest.platforms or DEFAULT_PLATFORMS)))

    @property
    def installed_platforms(self) -> tuple[Platform, ...]:
        """All platforms with an installed pack, active or not, most trusted first."""
        return load_packs().order_by_trust(load_packs().platforms)

    @property
    def compared_platforms(self) -> tuple[Platform, ...]:
        """The active platforms: home first, then the most trusted."""
        return put_home_first(self.settings.home_platform, self.platforms)

    @property
    def import_platforms(self) -> tuple[Platform, ...]:
        """The platforms that every imported cycle covers besides those of its answers, home first.

        They are home and the active ones of the default platforms.
        """
        return tuple(
            platform
            for platform in self.compared_platforms
            if platform == self.settings.home_platform or platform in DEFAULT_PLATFORMS
        )

    @cached_property
    def parser_version(self) -> str:
        return join_parser_versions(self.adapters.values())

    def list_unusable_platforms(self, platforms: Iterable[Platform]) -> tuple[Platform, ...]:
        """Return those of the platforms whose pack is missing or cannot be loaded, in their order."""
        unusable = []
        for platform in platforms:
            try:
                self.get_adapter(platform)
            except PackError:
                unusable.append(platform)
        return tuple(unusable)

    def find_cycle_versions(self, platforms: Sequence[Platform]) -> CycleVersions | None:
        """Return the versions of parsers and vocabulary for cycles that cover these platforms.

        None when the pack of one of them cannot be used.
        """
        if self.list_unusable_platforms(platforms):
            return None
        adapters = [self.get_adapter(platform) for platform in load_packs().order_by_trust(platforms)]
        names = dict.fromkeys(load_packs().require(p).pack.name for p in load_packs().order_by_trust(platforms))
        mappings = [f"{name}{self.vocabulary.pack_versions[name]}" for name in names]
        return CycleVersions(tuple(sorted(platforms)), join_parser_versions(adapters), ".".join(mappings))

    def record_platforms(self, conn: psycopg.Connection, platforms: Iterable[Platform]) -> None:
        """Write names and trust of these platforms into the database. The caller commits. Raises PackError."""
        rows = [load_packs().require(platform) for platform in platforms]
        write_platforms(conn, [KnownPlatform(row.platform, row.name, row.pack.content.trust) for row in rows])

    def connect(self) -> psycopg.Connection:
        return self.database.connect()

    @cached_property
    def cadence(self) -> Cadence:
        return Cadence(self.settings.kickoff_tiers, self.settings.kickoff_slot_minutes)

    @asynccontextmanager
    async def open_engine(
        self,
        scope: Scope,
        sink: AnswerSink,
        observer: ScrapeObserver | None = None,
        *,
        host_holds: Mapping[Platform, HostHold] | None = None,
        ends_at: datetime | None = None,
    ) -> AsyncIterator[ScrapeEngine]:
        """Yield a running engine with an HTTP client and the scope's request budget for each platform's host.

        Every answer is passed to `sink`. The other arguments are those of `ScrapeEngine`.
        """
        from palimpsest_pipeline.wire.client import PlatformClient  # noqa: PLC0415 - loads an HTTP library, which only scrapes need

        async with AsyncExitStack() as stack:
            clients = {
                p: await stack.enter_async_context(PlatformClient(self.build_host_config(p), self.clock))
                for p in self.platforms
            }
            host_setups = build_host_setups(self.adapters, clients, self.split_budgets(scope))
            yield await stack.enter_async_context(
                ScrapeEngine(
                    host_setups,
                    sink,
                    clock=self.clock,
                    observer=observer,
                    host_holds=host_holds,
                    ends_at=ends_at,
                )
            )

    def split_budgets(self, scope: Scope) -> Mapping[Platform, HostBudget]:
        """Return the request budget of each platform's host for a cycle of the scope.

        A full cycle and an urgent one (scope `kickoff` or `events`) may run at the same time; their budgets add up to
        the host's limits. Two urgent cycles may also run at the same time, for example a user's refresh and a minute of
        the kickoff cadence. Each of them gets the whole urgent share, so for some seconds a host may get more requests
        than its limits. If one of the two waited instead, prices of a minute before kickoff would be lost.
        """
        parts = {
            platform: self._build_budget(platform).split(self.settings.urgent_share) for platform in self.platforms
        }
        return {platform: urgent if scope.is_urgent else rest for platform, (urgent, rest) in parts.items()}

    def find_host_name(self, platform: Platform) -> str:
        """Return the key under which scrapes store and read the state of the platform's host."""
        return self.settings.get_platform(platform).base_url.partition("://")[2]

    def _build_budget(self, platform: Platform) -> HostBudget:
        s = self.settings.get_platform(platform)
        return HostBudget(
            max_in_flight=s.max_in_flight,
            min_gap_s=s.min_gap_s,
            jitter_s=s.jitter_s,
            max_per_s=s.max_per_s,
            max_attempts=s.max_attempts,
            backoff_max_s=s.backoff_max_s,
            breaker=BreakerRule(give_up_s=s.give_up_s),
        )

    def build_host_config(self, platform: Platform) -> HostConfig:
        """Return the address, headers, proxy and limits of a platform's host."""
        s = self.settings.get_platform(platform)
        our_headers = {"user-agent": s.user_agent} if s.user_agent else {}
        user_headers = {name: value.get_secret_value() for name, value in s.headers.items()}
        return HostConfig(
            platform=platform,
            base_url=s.base_url,
            headers={**self.adapters[platform].build_headers(), **our_headers, **user_headers},
            proxy=Proxy.from_url(s.proxy.get_secret_value()) if s.proxy else None,
            total_timeout_s=s.total_timeout_s,
            max_body_bytes=s.max_body_bytes,
            secrets=tuple(list_header_secrets(user_headers)),
        )
