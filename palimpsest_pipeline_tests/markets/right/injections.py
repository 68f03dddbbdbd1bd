"""Mistakes that a mapping of these books can make, each put into a copy of the vocabulary's files, and the check that
must notice it.

Each was made at least once, by people who took outcomes in the order of a list or guessed a market by its id or name.
"""

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from .facts import NOT_A_MARKET

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Files:
    """A copy of the vocabulary that can be written to."""

    folder: Path

    def change(self, name: str, rewrite: Callable[[Row], Row | None]) -> None:
        """Apply `rewrite` to every row of all files with this name. None drops a row.

        At least one file must change.
        """
        is_changed = False
        for path in self.paths(name):
            columns, rows = self._read(path)
            changed = [row for before in rows if (row := rewrite(dict(before))) is not None]
            is_changed |= changed != rows
            self._write(path, columns, changed)
        assert is_changed, f"nothing in {name} to make a mistake with"

    def add(self, pack: str, name: str, row: Row) -> None:
        path = self.folder / pack / name
        columns, rows = self._read(path)
        self._write(path, columns, [*rows, dict.fromkeys(columns, "") | row])

    def paths(self, name: str) -> list[Path]:
        """The files of this name: one of canonical markets, or one of each set of keys."""
        return sorted(self.folder.rglob(name))

    def _read(self, path: Path) -> tuple[list[str], list[Row]]:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            return list(reader.fieldnames or ()), list(reader)

    def _write(self, path: Path, columns: list[str], rows: Iterable[Row]) -> None:
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, columns, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


Mistake = Callable[[Files], None]


def _of(row: Row, market: str) -> bool:
    return row["sport"] == "football" and row["external_market_id"] == market


def renamed(outcomes: dict[str, str], *markets: str) -> Mistake:
    """The platform's markets with outcomes under other names."""

    def mistake(files: Files) -> None:
        for market in markets:
            files.change(
                "outcome_keys.csv",
                lambda row, market=market: (
                    row | {"outcome_key": outcomes.get(row["outcome_key"], row["outcome_key"])}
                    if _of(row, market)
                    else row
                ),
            )

    return mistake


def exchanged(first: str, second: str, *markets: str) -> Mistake:
    return renamed({first: second, second: first}, *markets)


def shown(outcome: str, under: str, market: str) -> Mistake:
    """An outcome takes another's place, which loses its own."""

    def mistake(files: Files) -> None:
        files.change("outcome_keys.csv", lambda row: None if _of(row, market) and row["outcome_key"] == under else row)
        renamed({outcome: under}, market)(files)

    return mistake


def led_to(market_key: str, outcomes: dict[str, str], *markets: str, **columns: str) -> Mistake:
    """Platform markets that lead to another canonical one, with these outcomes (by canonical name) and no others."""

    def key(row: Row, market: str) -> Row:
        return row | {"market_key": market_key} | columns if _of(row, market) else row

    def outcome(row: Row, market: str) -> Row | None:
        if not _of(row, market):
            return row
        wanted = outcomes.get(row["outcome_key"])
        return row | {"market_key": market_key, "outcome_key": wanted} if wanted else None

    def mistake(files: Files) -> None:
        for market in markets:
            files.change("keys.csv", lambda row, market=market: key(row, market))
            files.change("outcome_keys.csv", lambda row, market=market: outcome(row, market))

    return mistake


def unknown(*markets: str) -> Mistake:
    """Platform markets that are sold and not in the vocabulary."""

    def mistake(files: Files) -> None:
        for market in markets:
            files.change("keys.csv", lambda row, market=market: None if _of(row, market) else row)
            outcomes = [line for path in files.paths("outcome_keys.csv") for line in path.read_text().splitlines()]
            if any(market in line.split(",") for line in outcomes):
                files.change("outcome_keys.csv", lambda row, market=market: None if _of(row, market) else row)

    return mistake


def spelled(codes: dict[str, str], market: str) -> Mistake:
    """Outcome ids as somebody thought that they are."""
    return lambda files: files.change(
        "outcome_keys.csv",
        lambda row: (
            row | {"external_outcome_id": codes.get(row["external_outcome_id"], row["external_outcome_id"])}
            if _of(row, market)
            else row
        ),
    )


def one_side(side: str, market: str) -> Mistake:
    """A key of two canonical markets of which one is kept."""

    def mistake(files: Files) -> None:
        for name in ("keys.csv", "outcome_keys.csv"):
            files.change(name, lambda row: None if _of(row, market) and not row["market_key"].startswith(side) else row)

    return mistake


def keyed(market: str, **columns: str) -> Mistake:
    """A platform market whose key reads its specifier in another way."""
    return lambda files: files.change("keys.csv", lambda row: row | columns if _of(row, market) else row)


def fair_sum(market_key: str, value: str) -> Mistake:
    return lambda files: files.change(
        "markets.csv", lambda row: row | {"fair_sum": value} if row["market_key"] == market_key else row
    )


OVER_UNDER: Final = {
    f"{side}_{over}": f"{side}_{other}"
    for side in ("home", "draw", "away")
    for over, other in (("over", "under"), ("under", "over"))
}
PAIRS_IN_LIST_ORDER: Final = {
    f"{pair}_{both}": f"{other}_{both}"
    for pair, other in (("home_or_away", "draw_or_away"), ("draw_or_away", "home_or_away"))
    for both in ("yes", "no")
}
FIVE_OF_SIX: Final = {
    "home_or_draw_over": "home_or_away_under",
    "home_or_away_under": "draw_or_away_under",
    "draw_or_away_under": "draw_or_away_over",
    "draw_or_away_over": "home_or_away_over",
    "home_or_away_over": "home_or_draw_over",
}
TEAM_RANGES: Final = {"1_2": "no_goal", "1_3": "1_2", "no_goal": "4_plus", "4_plus": "1_3"}
HALF_RANGES: Final = {"1_3": "2_3", "2_3": "4_plus", "4_plus": "1_3"}


def _chance_mix(files: Files) -> None:
    mixed = {"1orGG": "btts_or_over", "1orNG": "no_btts_or_over", "2orGG": "btts_or_under", "2orNG": "no_btts_or_under"}
    unknown("S_CHANCEMIX")(files)
    key = {"sport": "football", "external_market_id": "S_CHANCEMIX", "market_key": "btts_or_total_goals"}
    files.add("bet9ja", "keys.csv", key | {"adds": "total=2.5"})
    for code, outcome in mixed.items():
        files.add("bet9ja", "outcome_keys.csv", key | {"external_outcome_id": code, "outcome_key": outcome})


def _exact_corners(files: Files) -> None:
    ranges = {"LT7Corner": "0_8", "9Corner": "9_11", "12Corner": "12_plus"}
    unknown("S_NCORN")(files)
    key = {"sport": "football", "external_market_id": "S_NCORN", "market_key": "corners_range"}
    files.add("bet9ja", "keys.csv", key)
    for code, outcome in ranges.items():
        files.add("bet9ja", "outcome_keys.csv", key | {"external_outcome_id": code, "outcome_key": outcome})


def _keys_of_nothing(files: Files) -> None:
    for market in NOT_A_MARKET:
        files.add(
            "bet9ja",
            "keys.csv",
            {"sport": "football", "external_market_id": market, "market_key": "sending_off"},
        )


PRICE: Final = "same_bet_same_price"
STILL: Final = "what_was_compared_still_is"
SWAP: Final = "no_exchange_fits_better"
SUM: Final = "parts_sum_to_the_whole"
WITHIN: Final = "the_narrower_bet_is_dearer"
ORDER: Final = "lines_are_in_order"
MARGIN: Final = "margins_are_margins"
TWICE: Final = "what_is_sold_twice_costs_the_same"
PLAYERS: Final = "books_sell_players"
WINNERS: Final = "fair_sums_are_winners"
NAMED: Final = "what_is_sold_is_named"

SIDES: Final = {side: side for side in ("home", "draw", "away")}
TWO_SIDES: Final = {side: side for side in ("home", "away")}
BOTH_WAYS: Final = {way: way for way in ("over", "under")}


def _by_place(market_key: str, line: str, low: str, high: str, market: str) -> Mistake:
    """The first two of a market's ranges taken for over and under."""
    return led_to(market_key, {low: "over", high: "under"}, market, adds=f"total={line}")


BY_PLACE: Final[dict[str, tuple[Mistake, tuple[str, ...]]]] = {
    "1X2 and total: over and under exchanged": (renamed(OVER_UNDER, "37"), (PRICE, SWAP, SUM, WITHIN)),
    "double chance and total: five of six": (renamed(FIVE_OF_SIX, "547"), (PRICE, SWAP, SUM, WITHIN)),
    "total and both score: two of four": (exchanged("over_no", "under_yes", "36"), (SWAP,)),
    "double chance and both score: 12 and X2": (renamed(PAIRS_IN_LIST_ORDER, "546"), (SWAP, SUM, WITHIN)),
    "double chance and both score, first half: 12 and X2": (renamed(PAIRS_IN_LIST_ORDER, "542"), (SWAP,)),
    "double chance and both score, second half: 12 and X2": (renamed(PAIRS_IN_LIST_ORDER, "545"), (PRICE, SWAP)),
    "team to score: three in turn": (
        renamed({"neither": "home_only", "home_only": "away_only", "away_only": "neither"}, "30"),
        (PRICE, SWAP, SUM, WITHIN),
    ),
    "goals: 1-3 shown as 2-3": (shown("1_3", "2_3", "548"), (PRICE, STILL, WITHIN)),
    "goals: 1-4 shown as 4-5": (shown("1_4", "4_5", "548"), (PRICE, STILL, SWAP, WITHIN)),
    "home goals: 1-2 shown as none, 1-3 as 1-2, none as 4 or more": (
        renamed(TEAM_RANGES, "549"),
        (PRICE, SWAP, WITHIN),
    ),
    "away goals: 1-2 shown as none, 1-3 as 1-2, none as 4 or more": (
        renamed(TEAM_RANGES, "550"),
        (PRICE, SWAP, WITHIN),
    ),
    "goals of the first half: 1-3 shown as 2-3, 2-3 as 4 or more": (
        renamed(HALF_RANGES, "552"),
        (PRICE, SWAP, SUM, WITHIN),
    ),
    "goals of the second half: 1-3 shown as 2-3, 2-3 as 4 or more": (
        renamed(HALF_RANGES, "553"),
        (PRICE, SWAP, WITHIN),
    ),
    "score of the first half: 2:2 shown as 0:1": (shown("2_2", "0_1", "81"), (PRICE, STILL, SWAP, SUM, WITHIN)),
    "score of the second half: 0:2 shown as 0:1": (shown("0_2", "0_1", "98"), (PRICE, STILL, SWAP, SUM)),
    "home corners: ranges as over and under": (
        _by_place("home_total_corners", "4.5", "0_2", "3_4", "1096793"),
        (PRICE, STILL, MARGIN),
    ),
    "away corners: ranges as over and under": (
        _by_place("away_total_corners", "4.5", "0_2", "3_4", "1096797"),
        (PRICE, STILL, SWAP, MARGIN),
    ),
    "home corners, first half: ranges as over and under": (
        _by_place("home_total_corners_1h", "1.5", "0_1", "2", "1096794"),
        (PRICE, STILL, MARGIN),
    ),
    "away corners, first half: ranges as over and under": (
        _by_place("away_total_corners_1h", "1.5", "0_1", "2", "1096802"),
        (PRICE, STILL, MARGIN),
    ),
    "home bookings: ranges as over and under": (
        _by_place("home_total_bookings", "1.5", "0_1", "2", "1096768"),
        (PRICE, STILL, SWAP, WITHIN),
    ),
    "away bookings: ranges as over and under": (
        _by_place("away_total_bookings", "1.5", "0_1", "2", "1096770"),
        (PRICE, STILL, SWAP, WITHIN),
    ),
    "home bookings, first half: ranges as over and under": (
        _by_place("home_total_bookings_1h", "0.5", "0", "1", "1096769"),
        (PRICE, STILL, SWAP, WITHIN),
    ),
    "away bookings, first half: ranges as over and under": (
        _by_place("away_total_bookings_1h", "0.5", "0", "1", "1096771"),
        (PRICE, STILL, SWAP, WITHIN),
    ),
}
"""Outcomes taken in the order of a list, and the checks that all must notice."""

OTHER_BET: Final[dict[str, tuple[Mistake, tuple[str, ...]]]] = {
    "exactly two goals as two or more": (renamed({"2": "2_plus"}, "S_GOALS2T"), (SUM, WITHIN)),
    "any other score, of the smaller grid": (
        renamed({"other_beyond_28_grid": "other_beyond_4_4"}, "4429"),
        (SWAP, SUM),
    ),
    "result after N minutes, N dropped": (
        keyed("900069", reads="", adds="minute=5", ignores="minute"),
        (PRICE, STILL, ORDER),
    ),
    "1UP as a lead by one, yes or no": (
        led_to("home_lead_by_1", {"home": "yes", "away": "no"}, "60200"),
        (STILL, TWICE),
    ),
    "2UP as a lead by two, yes or no": (
        led_to("home_lead_by_2", {"home": "yes", "away": "no"}, "60100"),
        (STILL, MARGIN, TWICE),
    ),
    "Asian total as the away team's": (led_to("away_total_goals", BOTH_WAYS, "S_OUA"), (STILL, SUM, ORDER)),
    "1UP as the first half": (led_to("match_result_1h", SIDES, "S_1X21"), (STILL, TWICE)),
    "2UP as the second half": (led_to("match_result_2h", SIDES, "S_1X22"), (STILL, TWICE)),
    "handicap of cards as of corners": (led_to("corners_asian_handicap", TWO_SIDES, "S_CAH1"), (STILL, TWICE)),
    "corners of the first half as of the match": (
        led_to("corners_asian_handicap", TWO_SIDES, "S_CAHH"),
        (STILL, TWICE),
    ),
    "result or both score as both score or total": (_chance_mix, (PRICE, STILL, SUM, TWICE)),
    "number of corners as ranges": (_exact_corners, (PRICE, SUM, WITHIN, MARGIN)),
    "last goal split in two markets": (
        led_to("next_goal", {**SIDES, "none": "none"}, "4870", adds="goalnr=1"),
        (STILL,),
    ),
    "Asian handicap as home goals": (
        led_to("home_total_goals", {"home": "over", "away": "under"}, "3774", reads="total=quarters(line)"),
        (STILL, SUM, WITHIN, ORDER, TWICE),
    ),
    "three-way handicap as correct score": (
        led_to("correct_score", {"home": "1_0", "draw": "0_0", "away": "0_1"}, "4724", reads="", ignores="line"),
        (PRICE, STILL, SWAP, SUM, TWICE),
    ),
    "total of the second half as of the first": (led_to("total_goals_1h", BOTH_WAYS, "4976"), (STILL, TWICE)),
    "double chance as bets that exclude each other": (fair_sum("double_chance", "1"), (MARGIN, WINNERS)),
    "double chance and total as bets that exclude each other": (
        fair_sum("double_chance_and_total_goals", "1"),
        (MARGIN, WINNERS),
    ),
}
"""A market taken for another."""

LEFT_OUT: Final[dict[str, tuple[Mistake, tuple[str, ...]]]] = {
    "1UP and 2UP of Bet9ja": (unknown("S_1X21", "S_1X22"), (STILL,)),
    "keys that do not exist": (_keys_of_nothing, (NAMED,)),
    "home no bet as yes and no": (spelled({"X": "Y", "2": "N"}, "S_HOMENOBET"), (STILL, SUM)),
    "away no bet as yes and no": (spelled({"1": "Y", "X": "N"}, "S_AWAYNOBET"), (STILL, SUM)),
    "both score twice as yes and no": (spelled({"GG": "Y", "NG": "N"}, "S_GGNG2PLUS"), (STILL,)),
    "first goal as H, N and A": (spelled({"1": "H", "X": "N", "2": "A"}, "S_1STGOAL"), (STILL, SUM)),
    "last goal as H, N and A": (spelled({"1": "H", "2": "A"}, "S_LASTSCORE"), (STILL,)),
    "1X2 and total by a label": (unknown("1096755"), (PRICE, STILL, SUM)),
    "team to score by a label": (unknown("1096782"), (STILL, SUM)),
    "last goal by a label": (unknown("4870"), (STILL,)),
    "last corner by a label": (unknown("1096795"), (STILL,)),
    "ranges of goals by labels": (
        unknown("28000047", "28000065", "28000071", "28000077", "28000083"),
        (PRICE, STILL, SUM),
    ),
    "half time, full time and total": (unknown("28000279"), (PRICE, STILL, SWAP, SUM)),
    "scores of half time and full time": (unknown("28000228"), (PRICE, STILL, SWAP, SUM, WITHIN)),
    "groups of scores": (unknown("28000035"), (STILL, SUM)),
    "ranges of corners": (unknown("1096803", "1096793"), (STILL,)),
    "numbers of bookings": (unknown("1096768"), (STILL,)),
    "next goal": (unknown("28000224"), (STILL,)),
    "1UP": (unknown("28000810"), (STILL,)),
    "2UP": (unknown("28000850"), (STILL,)),
    "home no bet": (unknown("4746"), (NAMED,)),
    "players": (unknown("129108", "129109", "129110", "28000815", "28000816"), (PLAYERS,)),
    "first half's team totals with the away side only": (one_side("away", "S_HA1HOU"), (STILL,)),
    "first half's team totals with the home side only": (one_side("home", "S_HA1HOU"), (STILL,)),
    "second half's team totals with the away side only": (one_side("away", "S_HA2HOU"), (STILL,)),
}
"""What is sold and has no name, or a name that is not sold."""

INJECTIONS: Final = {**BY_PLACE, **OTHER_BET, **LEFT_OUT}
