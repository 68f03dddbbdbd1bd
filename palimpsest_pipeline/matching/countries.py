"""The mapping of country names, as platforms write them, to ISO 3166.

Regions and tours (`International`, `ATP`) are not countries and have no code.
"""

import gettext
from collections.abc import Iterator
from functools import cache
from typing import Final

import pycountry

from .name_folding import fold_name

_COUNTRY_ALIASES: Final = {
    # The four football nations of the United Kingdom have leagues of their own, and ISO codes as subdivisions.
    "GB-ENG": ("England", "Angleterre"),
    "GB-SCT": ("Scotland", "Ecosse"),
    "GB-WLS": ("Wales", "Pays de Galles"),
    "GB-NIR": ("Northern Ireland", "Irlande du Nord"),
    "GB": ("UK", "Great Britain"),
    "AE": ("UAE", "Emirates", "Emirats arabes unis"),
    "BA": ("Bosnia", "Bosnia-Herzegovina"),
    "BN": ("Brunei",),
    "BY": ("Bielorussie",),
    "CD": (
        "DR Congo",
        "Congo DR",
        "D.R. Congo",
        "Democratic Republic of Congo",
        "Congo DRC",
        "Congo-Kinshasa",
        "RD Congo",
    ),
    "CG": ("Congo Republic", "Republic of Congo", "Congo-Brazzaville"),
    "CI": ("Ivory Coast", "Cote d Ivoire"),
    "CN": ("China PR", "PR China"),
    "CV": ("Cape Verde", "Cape Verde Islands"),
    "CW": ("Curacao",),
    "CZ": ("Czech Republic", "Tchequie"),
    "FK": ("Falkland Islands",),
    "FM": ("Micronesia",),
    "FO": ("Faroe Islands", "Faroes"),
    "GM": ("Gambia", "The Gambia"),
    "HK": ("Hong Kong, China", "Hong Kong China"),
    "IE": ("Republic of Ireland", "Eire"),
    "IR": ("IR Iran",),
    "KG": ("Kyrgyz Republic",),
    "KP": ("North Korea", "Korea DPR", "DPR Korea"),
    "KR": ("South Korea", "Korea Republic", "Republic of Korea", "Coree du Sud"),
    "LA": ("Laos",),
    "LC": ("St Lucia", "St. Lucia"),
    "KN": ("St Kitts and Nevis", "St. Kitts and Nevis"),
    "MD": ("Moldova",),
    "MK": ("Macedonia", "FYR Macedonia", "North Macedonia"),
    "MM": ("Burma",),
    "MO": ("Macau",),
    "NL": ("Holland", "The Netherlands"),
    "PS": ("Palestine",),
    "RU": ("Russia", "Russie"),
    "ST": ("Sao Tome and Principe",),
    "SV": ("Salvador",),
    "SY": ("Syria",),
    "SZ": ("Swaziland",),
    "TL": ("East Timor",),
    "TR": ("Turkey", "Turkiye"),
    "TW": ("Chinese Taipei", "Taiwan"),
    "TZ": ("Tanzania",),
    "US": ("USA", "U.S.A.", "United States of America"),
    "VA": ("Vatican", "Vatican City"),
    "VC": ("St Vincent and the Grenadines", "St. Vincent and the Grenadines"),
    "VG": ("British Virgin Islands",),
    "VI": ("US Virgin Islands",),
    "VN": ("Viet Nam",),
    "XK": ("Kosovo",),  # no ISO code; XK is a user-assigned code in general use
}
_AMATEUR_SUFFIXES: Final = (" amateur", " amateurs")
"""Suffixes of names under which platforms list a country's amateur competitions as a separate country."""


@cache
def find_country_iso(country_name: str | None) -> str | None:
    """Return the ISO 3166 code of a country as a platform writes it; None when the name is not a country.

    The code is alpha-2, or a subdivision for the British nations. Names in English and French match if they are equal
    without case, accents and punctuation. Similar names do not match, because a wrong country is worse than none.
    """
    if not country_name or not country_name.strip():
        return None
    stripped = country_name.strip()
    if stripped.isupper() and stripped in _load_codes():
        return _load_codes()[stripped]
    name = fold_name(stripped)
    for suffix in _AMATEUR_SUFFIXES:
        name = name.removesuffix(suffix)
    return _load_names().get(name)


@cache
def _load_codes() -> dict[str, str]:
    return {code: c.alpha_2 for c in pycountry.countries for code in (c.alpha_2, c.alpha_3)} | {
        code: code for code in _COUNTRY_ALIASES if "-" in code
    }


@cache
def _load_names() -> dict[str, str]:
    names = {fold_name(name): iso for name, iso in _iterate_published_names()}
    for iso, aliases in _COUNTRY_ALIASES.items():
        names |= {fold_name(alias): iso for alias in aliases}
    return names


def _iterate_published_names() -> Iterator[tuple[str, str]]:
    french = gettext.translation("iso3166-1", pycountry.LOCALES_DIR, languages=["fr"])
    for country in pycountry.countries:
        for attribute in ("official_name", "common_name", "name"):
            name = getattr(country, attribute, None)
            if name:
                yield name, country.alpha_2
                yield french.gettext(name), country.alpha_2
