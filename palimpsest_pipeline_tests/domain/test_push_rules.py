"""The file of rules: what it may say, and that each bad value is named with its line and field."""

import pytest

from palimpsest_pipeline.domain.enums import OddsAlertLevel
from palimpsest_pipeline.domain.push_rules import PushRule, PushRulesError, SourceTerms, parse_push_rules

SOURCES = {
    "odds_alerts": SourceTerms(
        "odds_alerts",
        ("price_move", "event_dropped"),
        has_severity=True,
        has_markets=True,
        is_state=False,
        size_unit="probability",
        types_without_size=("event_dropped",),
        types_of_listings=("event_dropped",),
    ),
    "gaps": SourceTerms(
        "gaps", ("home_missing",), has_severity=False, has_markets=True, is_state=True, size_unit="minutes"
    ),
    "coverage": SourceTerms(
        "coverage", ("home_only",), has_severity=False, has_markets=False, is_state=True, size_unit="minutes"
    ),
}
GOOD = """
# comments stay
[rule.moves]
source = "odds_alerts"
webhook = "TRADERS_URL"
signing_key = "TRADERS_KEY"
types = ["price_move"]
severity = "medium"
platforms = ["betpawa"]
markets = [
    "match_result",
]
max_minutes_to_kickoff = 180
min_size = 0.08
cooldown_minutes = 30

[rule.gaps]
source = "gaps"
webhook = "TRADERS_URL"
"""


def parse(text: str) -> tuple[PushRule, ...]:
    return parse_push_rules(
        text, "push.toml", SOURCES, platforms=("betpawa", "sportybet"), market_keys={"match_result", "totals"}
    )


def test_rules_are_read_in_the_order_of_the_file():
    moves, gaps = parse(GOOD)
    assert (moves.name, gaps.name) == ("moves", "gaps")
    assert moves.severity is OddsAlertLevel.MEDIUM
    assert (moves.markets, moves.max_minutes_to_kickoff, moves.cooldown_per) == (("match_result",), 180, "market")
    assert (gaps.signing_key, gaps.types, gaps.max_age_minutes) == (None, (), 120)
    assert parse("") == ()


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('source = "odds_alerts"', 'source = "odds"', "push.toml:4: rule.moves.source: 'odds' is no source"),
        ('severity = "medium"', 'severity = "huge"', "push.toml:8: rule.moves.severity: invalid enum value 'huge'"),
        ('["betpawa"]', '["betpawn"]', "push.toml:9: rule.moves.platforms: 'betpawn' is no platform: choose from"),
        ('"match_result",', '"1x2",', "push.toml:10: rule.moves.markets: '1x2' is no market of the vocabulary"),
        ('["price_move"]', '["moves"]', "push.toml:7: rule.moves.types: 'moves' is no type of odds_alerts"),
        ('["price_move"]', "[1]", "push.toml:7: rule.moves.types: expected `str`, got `int`"),
        ("= 180", '= "3 hours"', "push.toml:13: rule.moves.max_minutes_to_kickoff: expected `float"),
        ("min_size = 0.08", "min_size = -1", "push.toml:14: rule.moves.min_size: expected `float` >= 0"),
        ("min_size = 0.08", "size = 1", "push.toml:14: rule.moves.size: this field is not known: choose from source"),
        ("cooldown_minutes = 30", "cooldown_minutes = 99999", "push.toml:15: rule.moves.cooldown_minutes: expected"),
        ("min_size = 0.08", "min_minutes_to_kickoff = 200", "rule.moves.max_minutes_to_kickoff: it is below min_"),
        ("[rule.gaps]\nsource", '[rule.gaps]\nseverity = "low"\nsource', "push.toml:18: rule.gaps.severity: events of"),
        ("= 180", "= inf", "push.toml:13: rule.moves.max_minutes_to_kickoff: expected `float"),
        ("= 180", "= 525601", "push.toml:13: rule.moves.max_minutes_to_kickoff: expected `float` <= 525600"),
        ("= 180", f"= 1{'0' * 400}", "push.toml:13: rule.moves.max_minutes_to_kickoff: number out of range"),
        ("min_size = 0.08", "min_minutes_to_kickoff = 1e13", "push.toml:14: rule.moves.min_minutes_to_kickoff: exp"),
        ("min_size = 0.08", "min_size = inf", "push.toml:14: rule.moves.min_size: expected `float` <= 525600"),
        ("min_size = 0.08", "min_size = nan", "push.toml:14: rule.moves.min_size: expected `float` >= 0"),
        ("cooldown_minutes = 30", "cooldown_minutes = inf", "push.toml:15: rule.moves.cooldown_minutes: expected"),
        ("cooldown_minutes = 30", "max_age_minutes = nan", "push.toml:15: rule.moves.max_age_minutes: expected"),
        (
            'source = "gaps"',
            'source = "coverage"\nmarkets = ["totals"]',
            "push.toml:19: rule.gaps.markets: events of coverage are about whole fixtures and have no market",
        ),
        ('["price_move"]', '["event_dropped"]', "push.toml:10: rule.moves.markets: events of type event_dropped"),
        (
            'types = ["price_move"]\nseverity = "medium"\nplatforms = ["betpawa"]\nmarkets = [\n    "match_result",\n]',
            'types = ["event_dropped"]',
            "push.toml:9: rule.moves.min_size: events of type event_dropped have no size",
        ),
        ("[rule.gaps]", "[rule.Gaps]", "push.toml:17: rule.Gaps: use at most 40 lowercase letters"),
        ("[rule.gaps]", "[rules.gaps]", "push.toml:17: rules: only tables [rule.NAME] are known"),
        ('[rule.gaps]\nsource = "gaps"', "[rule.gaps]", "push.toml:17: rule.gaps: source is missing"),
        ("min_size = 0.08", "min_size = ", "push.toml:14: this is not TOML"),
        ("[rule.moves]", "[rule]\nother = 1\n[rule.moves]", "push.toml:4: rule.other: write a table [rule.NAME]"),
    ],
)
def test_a_bad_value_is_named_with_line_and_field(old: str, new: str, says: str):
    assert old in GOOD
    with pytest.raises(PushRulesError) as caught:
        parse(GOOD.replace(old, new, 1))
    assert says in str(caught.value)


@pytest.mark.parametrize("field", ["webhook", "signing_key"])
@pytest.mark.parametrize("secret", ['"https://hooks.example.com/T0/hunter2"', '["hunter2"]', "{ hunter2 = 1 }"])
def test_a_secret_in_the_place_of_a_variable_is_refused_and_not_repeated(field: str, secret: str):
    old = {"webhook": '"TRADERS_URL"', "signing_key": '"TRADERS_KEY"'}[field]
    with pytest.raises(PushRulesError, match=rf"push.toml:\d+: rule.moves.{field}: ") as caught:
        parse(GOOD.replace(old, secret, 1))
    assert "hunter2" not in str(caught.value)


def test_another_address_is_not_another_rule_but_another_filter_is():
    (rule, _) = parse(GOOD)
    (moved, _) = parse(GOOD.replace("TRADERS_URL", "OTHER_URL").replace("TRADERS_KEY", "OTHER_KEY"))
    (changed, _) = parse(GOOD.replace("0.08", "0.07"))
    assert moved.digest == rule.digest != changed.digest
