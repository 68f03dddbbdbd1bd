"""SportPesa's answers about one game, from recorded ones."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from palimpsest_pipeline.domain.exchange import Answer, Request
from palimpsest_pipeline.platforms.sportpesa import SportpesaAdapter

from ..pack_support import configure, load_pack_sample
from ..support import Reply, answer_to, judge_answer, reply

CONFIG: Final = configure("sportpesa")
ADAPTER: Final[Any] = SportpesaAdapter(CONFIG)
SPORTPESA: Final = CONFIG.platform
SEEN_AT: Final = datetime(2026, 5, 12, 9, 0, tzinfo=UTC)
"""Before the kickoffs of the recorded games."""
GAME: Final = "8887261"


def game_of(samples: Path, **change: Any) -> dict[str, Any]:
    """The recorded game whose book is recorded too."""
    game: dict[str, Any] = load_pack_sample(samples, "sportpesa", "prematch.json")[0]
    return game | change


def book_of(samples: Path, name: str = "markets.json") -> dict[str, Any]:
    book: dict[str, Any] = load_pack_sample(samples, "sportpesa", name)
    return book


def serve(request: Request, game: dict[str, Any], book: dict[str, Any]) -> Reply:
    """The answer of the site to a detail request: a game is known in its own sport alone."""
    if request.path.endswith("/api/games/markets"):
        assert request.params == {"games": str(game["id"]), "markets": "all"}
        return reply(book)
    assert request.params["gameId"] == str(game["id"])
    return reply([game] if request.params["sportId"] == str(game["sport"]["id"]) else [])


def list_answers(game: dict[str, Any], book: dict[str, Any], at: datetime = SEEN_AT) -> list[Answer]:
    """All answers that the dialect asks for, in the order of the requests."""
    answers: list[Answer] = []
    while requests := ADAPTER.list_detail_requests(str(game["id"]), None, answers):
        for request in requests:
            given = answer_to(request, serve(request, game, book), at=at + timedelta(seconds=len(answers)))
            answers.append(judge_answer(ADAPTER, given))
    return answers


def detail_of(game: dict[str, Any], book: dict[str, Any]) -> Any:
    return ADAPTER.read_detail(list_answers(game, book))
