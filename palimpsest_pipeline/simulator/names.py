"""Invented names: countries as each platform writes them, competitions, teams, players."""

from random import Random

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline.simulator.simulated_platforms import BETPAWA, SPORTYBET

COUNTRIES: tuple[tuple[str, str | None, str, str, str], ...] = (
    # BetPawa's name, its ISO code (None where BetPawa sends none), SportyBet's name, Bet9ja's name, parent region at
    # BetPawa
    ("England", None, "England", "England", "northern-europe"),
    ("Spain", "ES", "Spain", "Spain", "southern-europe"),
    ("Italy", "IT", "Italy", "Italy", "southern-europe"),
    ("Germany", "DE", "Germany", "Germany", "western-europe"),
    ("France", "FR", "France", "France", "western-europe"),
    ("International", None, "International", "International", ""),
    ("Ghana", "GH", "Ghana", "Ghana", "western-africa"),
    ("Kenya", "KE", "Kenya", "Kenya", "eastern-africa"),
    ("Egypt", "EG", "Egypt", "Egypt", "northern-africa"),
    ("South Korea", "KR", "Republic of Korea", "Korea Republic", "eastern-asia"),
    ("Turkiye", "TR", "Turkiye", "Turkey", "western-asia"),
    ("Netherlands", "NL", "Netherlands", "Netherlands", "western-europe"),
    ("Portugal", "PT", "Portugal", "Portugal", "southern-europe"),
    ("Scotland", None, "Scotland", "Scotland", "northern-europe"),
    ("USA", "US", "USA", "United States", "northern-america"),
    ("Brazil", "BR", "Brazil", "Brazil", "south-america"),
    ("Argentina", "AR", "Argentina", "Argentina", "south-america"),
    ("Nigeria", "NG", "Nigeria", "Nigeria", "western-africa"),
    ("South Africa", "ZA", "South Africa", "South Africa", "southern-africa"),
    ("Ivory Coast", "CI", "Cote d'Ivoire", "Ivory Coast", "western-africa"),
    ("Czechia", "CZ", "Czechia", "Czech Republic", "eastern-europe"),
    ("Norway", "NO", "Norway", "Norway", "northern-europe"),
    ("Sweden", "SE", "Sweden", "Sweden", "northern-europe"),
    ("Denmark", "DK", "Denmark", "Denmark", "northern-europe"),
    ("Poland", "PL", "Poland", "Poland", "eastern-europe"),
    ("Austria", "AT", "Austria", "Austria", "western-europe"),
    ("Belgium", "BE", "Belgium", "Belgium", "western-europe"),
    ("Switzerland", "CH", "Switzerland", "Switzerland", "western-europe"),
    ("Japan", "JP", "Japan", "Japan", "eastern-asia"),
    ("China", "CN", "China", "China", "eastern-asia"),
    ("Australia", "AU", "Australia", "Australia", "oceania"),
    ("Mexico", "MX", "Mexico", "Mexico", "central-america"),
    ("Colombia", "CO", "Colombia", "Colombia", "south-america"),
    ("Chile", "CL", "Chile", "Chile", "south-america"),
    ("Peru", "PE", "Peru", "Peru", "south-america"),
    ("Tanzania", "TZ", "Tanzania", "Tanzania", "eastern-africa"),
    ("Uganda", "UG", "Uganda", "Uganda", "eastern-africa"),
    ("Rwanda", "RW", "Rwanda", "Rwanda", "eastern-africa"),
    ("Morocco", "MA", "Morocco", "Morocco", "northern-africa"),
    ("Tunisia", "TN", "Tunisia", "Tunisia", "northern-africa"),
    ("Algeria", "DZ", "Algeria", "Algeria", "northern-africa"),
    ("India", "IN", "India", "India", "southern-asia"),
    ("Israel", "IL", "Israel", "Israel", "western-asia"),
    ("Greece", "GR", "Greece", "Greece", "southern-europe"),
    ("Romania", "RO", "Romania", "Romania", "eastern-europe"),
    ("Finland", "FI", "Finland", "Finland", "northern-europe"),
    ("Wales", None, "Wales", "Wales", "northern-europe"),
    ("Northern Ireland", None, "Northern Ireland", "Northern Ireland", "northern-europe"),
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
