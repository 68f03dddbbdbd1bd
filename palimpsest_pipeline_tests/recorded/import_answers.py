"""Write recorded answers into the test data, with invented names of teams and players.

    python -m palimpsest_pipeline_tests.recorded.import_answers FOLDER [FOLDER ...]

A FOLDER contains folders of answers (`betpawa/detail.json`), one per platform, or tables of market facts (`*.csv`).
All folders of the data must be given together, since all answers have the same invented names. An answer is the same
text as before, apart from the names.
"""

import argparse
import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from palimpsest_pipeline_tests.recorded.invented_names import InventedNames, is_replaceable, list_words

ANSWERS: Final = Path(__file__).parent / "answers"
MARKET_FACTS: Final = Path(__file__).parent / "market_facts"

KEY_ANSWER: Final = "betpawa/detail_football_113_markets_v3_2026-06-26.json"
"""The answer whose bytes, as received, are the key of the invented names. They are not in the test data, so that
nobody can compute the names anew without them.
"""

TEAM_KEYS: Final = frozenset(
    ("homeTeamName", "awayTeamName", "homeTeam", "awayTeam", "home_team", "away_team", "home_odd_key", "away_odd_key")
)
TEAM_LISTS: Final = frozenset(("participants", "competitors"))
"""Lists of objects whose `name` is a team's or player's."""
MATCH_KEYS: Final = frozenset(("DS", "N"))
"""Bet9ja's names of a match, `Home - Away`, in objects that have a competition too."""
PLAYER_KEYS: Final = frozenset(("playerName", "playerScore"))
"""Names of players with their team: `First Last (Team)`."""
TEXT_KEYS: Final = frozenset(("desc", "description", "name", "displayName"))
"""Texts of outcomes and markets that begin with a player: `Last, First ...` or `Name (Team)`."""
SLUG_KEYS: Final = frozenset(("HomeTeamId", "AwayTeamId"))
"""Names of teams in lower case."""

SPORT_AND_COUNTRY_KEYS: Final = (
    "sport sport_name sports category category_name categoryName region regions country tags"
)
LEAGUE_KEYS: Final = "competition competition_name competitions tournament seasonName league COMP"
BET9JA_KEYS: Final = "GN SG SGN G_DESC SG_DESC SG_LANG"
COMPETITION_KEYS: Final = frozenset(" ".join((SPORT_AND_COUNTRY_KEYS, LEAGUE_KEYS, BET9JA_KEYS)).split())
"""Sports, countries and competitions, with all that is in them: they stay."""
OPAQUE_KEY: Final = re.compile(r"(?<![A-Z])[Ii]d$|Url$|Icon$|[Ss]pecifiers?$|^(probability|_note|key)$")
"""Ids, addresses and encoded values: they stay."""

PLAYER: Final = re.compile(r"(?P<last>[A-Z][\w'’-]+(?: [\w'’-]+)*), (?P<first>[A-Z][\w'’-]*(?: [A-Z][\w'’-]*)*)")
PLAYER_OF_TEAM: Final = re.compile(r"(?P<player>[^()/&]+) \((?P<team>[^()]+)\)")
PLAYER_MARKET: Final = re.compile("player|goalscorer", re.IGNORECASE)
TOKEN: Final = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{},:]')


def collect_names(body: Any) -> set[str]:
    """Return the names of teams and players in an answer: from typed fields, and players from texts of outcomes."""
    fields = list(_walk(body))
    names = {text for parent, key, text, path in fields if _is_team(parent, key, path)}
    matches = {text for parent, key, text, _ in fields if key in MATCH_KEYS and {"GN", "GID"} & parent.keys()}
    names |= {name for match in matches for name in match.split(" - ") if " - " in match}
    for _, key, text, path in fields:
        if key in PLAYER_KEYS:
            names |= {name.strip("() ") for name in text.split(" (")}
        elif key in TEXT_KEYS and not path & COMPETITION_KEYS and len(text) < 100:
            if (player := PLAYER.match(text)) is not None:
                names |= {player["last"], player["first"]}
            elif (player := PLAYER_OF_TEAM.match(text)) is not None and player["team"] in names:
                names.add(player["player"])
    return names | set(_list_scorers(body))


def _walk(
    body: Any, key: str = "", path: frozenset[str] = frozenset()
) -> Iterator[tuple[Any, str, str, frozenset[str]]]:
    """Yield each text with the object that contains it, its key, and the keys above it."""
    for child in body if isinstance(body, list) else ():
        yield from _walk(child, key, path)
    for name, child in body.items() if isinstance(body, dict) else ():
        if isinstance(child, str):
            yield body, name, child, path | {key}
        else:
            yield from _walk(child, name, path | {key})


def _is_team(parent: Mapping[str, Any], key: str, path: frozenset[str]) -> bool:
    return key in TEAM_KEYS or (key == "name" and bool(path & TEAM_LISTS) and not path & COMPETITION_KEYS)


def _list_scorers(body: Any) -> Iterator[str]:
    """Yield the names of players whom BetPawa offers as outcomes of a market of players."""
    for market in body.get("markets", ()) if isinstance(body, dict) else ():
        if isinstance(market, dict) and PLAYER_MARKET.search(market.get("marketType", {}).get("name", "")):
            yield from (price["name"] for row in market["row"] for price in row["prices"] if " " in price["name"])


def replace_names(text: str, names: InventedNames) -> str:
    """Return the text of an answer with invented names; everything else stays as it is, byte for byte."""
    keys: list[str] = [""]
    """The key of each open object or list, and of the value that is read."""
    is_object: list[bool] = []
    is_key = False
    parts, end = [], 0
    for match in TOKEN.finditer(text):
        token = match[0]
        if token in "{[":
            is_object.append(token == "{")
            keys.append("" if token == "{" else keys[-1])
            is_key = token == "{"
        elif token in "}]":
            is_object.pop()
            keys.pop()
            is_key = False
        elif token == ",":
            is_key = is_object[-1]
        elif token == ":":
            is_key = False
        elif is_key:
            keys[-1] = json.loads(token)
        else:
            parts += [text[end : match.start()], _replace_literal(token, keys, names)]
            end = match.end()
    return "".join((*parts, text[end:]))


def _replace_literal(literal: str, keys: list[str], names: InventedNames) -> str:
    """Return a JSON text with invented names, unless the field is not for names."""
    key = keys[-1]
    if key not in SLUG_KEYS and (
        COMPETITION_KEYS & set(keys) or OPAQUE_KEY.search(key) or keys[-2:] == ["tournaments", "name"]
    ):
        return literal
    text = json.loads(literal)
    replaced = names.replace(text, any_case=key in SLUG_KEYS)
    return literal if replaced == text else json.dumps(replaced, ensure_ascii=literal.isascii())


def find_survivors(text: str, names: InventedNames) -> set[str]:
    """Return the words of names of at least four letters that `text` still contains in its fields for names."""
    return {
        word for name in collect_names(json.loads(text)) for word in list_words(name) if len(word) > 3
    } & names.words


def write_data(folder: Path, contents: Mapping[str, str]) -> None:
    """Write each text into `folder`, compressed; the same text is always the same file."""
    for name, content in contents.items():
        path = folder / f"{name}.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(content.encode(), mtime=0))


def main() -> None:
    """Read the given folders and write their answers and market facts into the test data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    folders = parser.parse_args().folders
    files = {f"{file.parent.name}/{file.name}": file for folder in folders for file in sorted(folder.glob("*/*.json"))}
    answers = {name: file.read_text(encoding="utf-8") for name, file in files.items()}
    key = hashlib.sha256(files[KEY_ANSWER].read_bytes()).digest()
    names = InventedNames((name for text in answers.values() for name in collect_names(json.loads(text))), key)
    written = {}
    for name, text in answers.items():
        replaced = replace_names(text, names)
        if survivors := find_survivors(replaced, names):
            raise SystemExit(f"{name} still contains {', '.join(sorted(survivors))}")
        written[_drop_names(name, names)] = replaced
    write_data(ANSWERS, written)
    tables = [file for folder in folders for file in sorted(folder.glob("*.csv"))]
    write_data(MARKET_FACTS, {file.name: file.read_text(encoding="utf-8") for file in tables})
    print(f"{len(written)} answers with {len(names.words)} invented words, {len(tables)} tables")


def _drop_names(file: str, names: InventedNames) -> str:
    """Return the name of a file without words of names."""
    platform, name = file.split("/")
    stem, suffix = name.split(".", 1)
    words = stem.split("_")
    kept = [word for word in words if word not in names.words or not is_replaceable(word)]
    return f"{platform}/{'_'.join(kept)}.{suffix}"


if __name__ == "__main__":
    main()
