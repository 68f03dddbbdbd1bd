"""Invented names: countries as each platform writes them, competitions, teams, players."""

from random import Random

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.simulated_platforms import BETPAWA, SPORTYBET

COUNTRIES: tuple[tuple[str, str, str], ...] = (
    # BetPawa, SportyBet, Bet9ja
    ("England", "England", "England"),
    ("Spain", "Spain", "Spain"),
    ("Italy", "Italy", "Italy"),
    ("Germany", "Germany", "Germany"),
    ("France", "France", "France"),
    ("International", "International", "International"),
    ("Ghana", "Ghana", "Ghana"),
    ("Kenya", "Kenya", "Kenya"),
    ("Egypt", "Egypt", "Egypt"),
    ("South Korea", "Republic of Korea", "Korea Republic"),
    ("Turkiye", "Turkiye", "Turkey"),
    ("Netherlands", "Netherlands", "Netherlands"),
    ("Portugal", "Portugal", "Portugal"),
    ("Scotland", "Scotland", "Scotland"),
    ("USA", "USA", "United States"),
    ("Brazil", "Brazil", "Brazil"),
    ("Argentina", "Argentina", "Argentina"),
    ("Nigeria", "Nigeria", "Nigeria"),
    ("South Africa", "South Africa", "South Africa"),
    ("Ivory Coast", "Cote d'Ivoire", "Ivory Coast"),
    ("Czechia", "Czechia", "Czech Republic"),
    ("Norway", "Norway", "Norway"),
    ("Sweden", "Sweden", "Sweden"),
    ("Denmark", "Denmark", "Denmark"),
    ("Poland", "Poland", "Poland"),
    ("Austria", "Austria", "Austria"),
    ("Belgium", "Belgium", "Belgium"),
    ("Switzerland", "Switzerland", "Switzerland"),
    ("Japan", "Japan", "Japan"),
    ("China", "China", "China"),
    ("Australia", "Australia", "Australia"),
    ("Mexico", "Mexico", "Mexico"),
    ("Colombia", "Colombia", "Colombia"),
    ("Chile", "Chile", "Chile"),
    ("Peru", "Peru", "Peru"),
    ("Tanzania", "Tanzania", "Tanzania"),
    ("Uganda", "Uganda", "Uganda"),
    ("Rwanda", "Rwanda", "Rwanda"),
    ("Morocco", "Morocco", "Morocco"),
    ("Tunisia", "Tunisia", "Tunisia"),
    ("Algeria", "Algeria", "Algeria"),
    ("India", "India", "India"),
    ("Israel", "Israel", "Israel"),
    ("Greece", "Greece", "Greece"),
    ("Romania", "Romania", "Romania"),
    ("Finland", "Finland", "Finland"),
    ("Wales", "Wales", "Wales"),
    ("Northern Ireland", "Northern Ireland", "Northern Ireland"),
)

COMPETITIONS: tuple[tuple[str, str, str], ...] = (
    # BetPawa, SportyBet, Bet9ja
    ("Premier League", "Premier League", "Premier League"),
    ("First Division", "1st Division", "Division 1"),
    ("FA Cup", "Cup", "Cup"),
    ("Second Division", "2nd Division", "Division 2"),
    ("Premier League Women", "Women Premier League", "Premier League (W)"),
    ("U21 League", "U21 Premier Division", "Under 21 League"),
    ("Third Division", "3rd Division", "Division 3"),
    ("Reserve League", "Reserve League", "Reserves"),
)

TEAM_STEMS = (
    "Nor", "Ash", "Elm", "Kings", "Stone", "Mar", "Wood", "Bar", "Cold", "Fen", "Harrow", "Lake", "Mill", "Oak", "Port",
    "Red", "Salt", "Thorn", "West", "Wind", "Alder", "Birch", "Crag", "Dun", "East", "Fair", "Glen", "Hazel", "Iron",
    "Long",
)  # fmt: skip
TEAM_ENDINGS = [
    "wick",
    "ton",
    "ham",
    "ford",
    "bury",
    "field",
    "gate",
    "mouth",
    "stead",
    "worth",
    "by",
    "ley",
    "dale",
    "bridge",
    "haven",
]
TEAM_SUFFIXES = (
    "United",
    "City",
    "Rovers",
    "Athletic",
    "Town",
    "Wanderers",
    "Albion",
    "Rangers",
    "Sporting",
    "Dynamo",
    "Olympic",
    "Stars",
)
FIRST_NAMES = (
    "Adam", "Ben", "Carl", "Dele", "Emeka", "Felix", "Goran", "Hugo", "Ivan", "Jonas",
    "Kofi", "Luis", "Musa", "Nils", "Omar", "Pavel", "Quentin", "Rui", "Sadio", "Tomas",
)  # fmt: skip
LAST_NAMES = (
    "Abara", "Brandt", "Costa", "Dahl", "Eze", "Ferro", "Garba", "Holm", "Ibe", "Jansen", "Kante", "Lindner",
    "Mensah", "Novak", "Okoro", "Petrov", "Quist", "Rossi", "Sowah", "Tanaka", "Ude", "Vidal", "Weiss", "Yeboah",
)  # fmt: skip


def invent_team_names(rng: Random, count: int) -> list[str]:
    """Return `count` different invented club names, deterministic for the given generator."""
    all_names = [
        f"{stem}{ending} {suffix}" for stem in TEAM_STEMS for ending in TEAM_ENDINGS for suffix in TEAM_SUFFIXES
    ]
    rng.shuffle(all_names)
    rounds = -(-count // len(all_names))
    return [name if number == 0 else f"{name} {number + 1}" for number in range(rounds) for name in all_names][:count]


def spell_team(name: str, platform: Platform, quirk: int) -> str:
    """Return the club's name as the platform writes it.

    `quirk` (0..99) selects one of the platform's ways of writing.
    """
    if platform == BETPAWA:
        return f"{name} FC" if quirk < 35 else name
    if platform == SPORTYBET:
        return f"FC {name}" if quirk < 12 else name
    short = name.replace("United", "Utd").replace("Athletic", "Ath.").replace("Wanderers", "Wand.")
    return short.removesuffix(" Town") if quirk > 90 else short


def list_competition_names(number: int) -> tuple[str, str, str]:
    """Return the names of a country's `number`-th competition on BetPawa, SportyBet and Bet9ja."""
    if number < len(COMPETITIONS):
        return COMPETITIONS[number]
    region = number - len(COMPETITIONS) + 1
    return f"Regional League, Group {region}", f"Regional League {region}", f"Regional Lg. Gr.{region}"


def invent_player_name(rng: Random) -> str:
    return f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)}"
