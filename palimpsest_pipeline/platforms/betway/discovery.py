"""Betway's crawl: the leagues of a sport, then a list of each league. Pure."""

from collections.abc import Sequence

from palimpsest_pipeline.domain.enums import Sport
from palimpsest_pipeline.domain.exchange import Answer
from palimpsest_pipeline.domain.observations import Discovery

from ..base import Crawl, DialectConfig
from ..league_lists import LeagueLists, crawl_leagues, read_league_discovery
from . import endpoints, parse_events


def crawl(sport: Sport, config: DialectConfig) -> Crawl:
    """Return the crawl of a sport: its leagues, then the pages of each league's list."""
    return crawl_leagues(_describe_lists(sport, config))


def read_discovery(answers: Sequence[Answer], sport: Sport, config: DialectConfig) -> Discovery:
    """Return the content of one cycle's discovery answers: any subset, in any order, with repetitions."""
    return read_league_discovery(answers, _describe_lists(sport, config))


def _describe_lists(sport: Sport, config: DialectConfig) -> LeagueLists:
    return LeagueLists(
        platform=config.platform,
        sport=sport,
        max_lists=config.max_lists,
        first_place=0,
        tree_request=endpoints.build_tree_request(config, sport),
        judge=parse_events.judge,
        read_tree=lambda answer: parse_events.read_tree(answer, sport, config),
        build_list_request=lambda league_id, skip: endpoints.build_list_request(config, sport, league_id, skip),
        parse_list=lambda request: endpoints.parse_list(request, config.sport_ids[sport]),
        read_list=lambda answer, collection: parse_events.read_list(answer, collection, config),
    )
