"""Settings: from the environment, clear when wrong, silent about secrets."""

from pathlib import Path

import pytest

from palimpsest_pipeline.domain.enums import FreshnessFamily, Platform
from palimpsest_pipeline.operate.unknown_settings import find_unknown_settings
from palimpsest_pipeline.settings import DEFAULT_STALE_AFTER_MINUTES, SettingsError, load_settings
from palimpsest_pipeline_tests.fixtures.platforms import BET9JA, BETPAWA, PLATFORMS, SPORTYBET


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path):
    import os

    for name in list(os.environ):
        if name.startswith("PALIMPSEST_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_defaults_point_at_the_real_sites_and_the_embedded_server():
    found = load_settings()
    assert found.is_embedded
    assert {p: found.get_platform(p).base_url for p in PLATFORMS} == {
        BETPAWA: "https://www.betpawa.ng",
        SPORTYBET: "https://www.sportybet.com",
        BET9JA: "https://sports.bet9ja.com",
    }


def test_an_override_that_is_no_setting_is_an_error():
    with pytest.raises(TypeError, match="not the name of a setting: betpawa, tpyo"):
        load_settings(tpyo=1, betpawa={"base_url": "http://127.0.0.1:1"}, ui_port=4000)


def test_one_nested_value_leaves_the_others_at_their_defaults(monkeypatch):
    monkeypatch.setenv("PALIMPSEST_PLATFORM__BET9JA__MAX_IN_FLIGHT", "3")
    found = load_settings()
    assert found.platform[BET9JA].max_in_flight == 3
    assert found.platform[BET9JA].min_gap_s == 0.025
    assert found.platform[BET9JA].base_url == "https://sports.bet9ja.com"


def test_a_family_that_is_named_leaves_the_others_as_old_as_by_default(monkeypatch):
    assert load_settings().stale_after_minutes == DEFAULT_STALE_AFTER_MINUTES
    monkeypatch.setenv("PALIMPSEST_STALE_AFTER_MINUTES", '{"odds": [7, 7]}')
    assert load_settings().stale_after_minutes == {**DEFAULT_STALE_AFTER_MINUTES, FreshnessFamily.ODDS: (7, 7)}


def test_the_address_of_a_service_is_no_port_and_keeps_nothing_from_starting(monkeypatch):
    monkeypatch.setenv("PALIMPSEST_UI_PORT", "tcp://10.0.0.5:80")
    assert load_settings().ui_port == 3000


def test_an_empty_variable_is_no_value(monkeypatch):
    monkeypatch.setenv("PALIMPSEST_DATABASE_URL", "")
    assert load_settings().is_embedded


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PALIMPSEST_PLATFORM__BETPAWA__BASE_URL", "nonsense", "is not an http(s) URL"),
        ("PALIMPSEST_PLATFORM__BETPAWA__MAX_IN_FLIGHT", "0", "greater than or equal to 1"),
        ("PALIMPSEST_HOME_PLATFORM", "betway", "'betway' is not one of PALIMPSEST_PLATFORMS (betpawa, "),
        ("PALIMPSEST_PLATFORMS", "betpawa,Bet9ja", "'Bet9ja' is not the key of a platform"),
        ("PALIMPSEST_PLATFORMS", "betpawa,bet9ja,betpawa", "betpawa appears twice"),
        ("PALIMPSEST_PLATFORMS", "betpawa", "at least 2 items"),
        ("PALIMPSEST_UI_PORT", "99999", "less than or equal to 65535"),
        ("PALIMPSEST_FULL_CYCLE_MINUTES", "45", "does not divide the hour"),
        ("PALIMPSEST_FIRST_DAY", "yesterday", "valid date"),
        ("PALIMPSEST_KICKOFF_TIERS", '{"120": 1, "30": 5}', "is not a cadence"),
        ("PALIMPSEST_KICKOFF_TIERS", '{"120": 7}', "is not a cadence"),
        ("PALIMPSEST_ALERT_WEBHOOK_URL", "hooks.example.com/T1/secret", "is not an http(s) URL"),
        ("PALIMPSEST_ALERT_WEBHOOK_URL", "https://[secret/T1", "is not an http(s) URL"),
        ("PALIMPSEST_ALERT_CHANNELS", '["pager"]', "names no class"),
        ("PALIMPSEST_ALERT_LEAST_SEVERITY", "loud", "'warn' or 'error'"),
        ("PALIMPSEST_STALE_AFTER_MINUTES", '{"odds": [190, 100]}', "odds: [190, 100] are not two ages in minutes"),
        ("PALIMPSEST_STALE_AFTER_MINUTES", '{"odds": [0, 100]}', "[0, 100] are not two ages"),
        ("PALIMPSEST_STALE_AFTER_MINUTES", '{"odds": [100]}', "PALIMPSEST_STALE_AFTER_MINUTES"),
        ("PALIMPSEST_STALE_AFTER_MINUTES", '{"weather": [1, 2]}', "__WEATHER: Input should be 'discovery', 'odds'"),
    ],
)
def test_a_bad_value_is_named_with_its_variable(monkeypatch, name, value, says):
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert name in str(caught.value)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_value_that_a_pack_does_not_offer_is_refused(monkeypatch):
    monkeypatch.setenv("PALIMPSEST_PLATFORM__BETPAWA__API_VERSION", "v5")
    with pytest.raises(SettingsError, match="api_version 'v5' is not one of v3, v4"):
        load_settings()


def test_one_database_url_without_the_other_is_refused(monkeypatch):
    monkeypatch.setenv("PALIMPSEST_DATABASE_URL", "postgresql://u:p@h/db")
    with pytest.raises(SettingsError, match="PALIMPSEST_DAGSTER_DATABASE_URL"):
        load_settings()


@pytest.mark.parametrize(
    "dagsters",
    ["postgresql://v@h/db", "postgresql+psycopg2://u:q@H:5432/db?sslmode=require", "postgresql:///db?host=h"],
)
def test_dagster_s_database_is_another_than_ours(monkeypatch, dagsters):
    monkeypatch.setenv("PALIMPSEST_DATABASE_URL", "postgresql://u:hunter2@h/db")
    monkeypatch.setenv("PALIMPSEST_DAGSTER_DATABASE_URL", dagsters)
    with pytest.raises(SettingsError, match="name the same database: create another one for Dagster") as told:
        load_settings()
    assert "hunter2" not in str(told.value)
    for other in ("h/dagster", "h:5433/db", "g/db", "h:port/db"):
        monkeypatch.setenv("PALIMPSEST_DAGSTER_DATABASE_URL", f"postgresql://u:p@{other}")
        assert not load_settings().is_embedded


def test_secrets_never_show(monkeypatch):
    monkeypatch.setenv("PALIMPSEST_DATABASE_URL", "postgresql+psycopg://user:hunter2@host/db?sslpassword=hunter3")
    monkeypatch.setenv("PALIMPSEST_DAGSTER_DATABASE_URL", "postgresql://user:hunter4@host/dagster")
    monkeypatch.setenv("PALIMPSEST_PLATFORM__BETPAWA__PROXY", "http://me:hunter5@proxy:8080")
    monkeypatch.setenv("PALIMPSEST_PLATFORM__BETPAWA__HEADERS", '{"cookie": "hunter6"}')
    monkeypatch.setenv("PALIMPSEST_ALERT_WEBHOOK_URL", "https://hooks.example.com/services/T1/hunter7?token=hunter8")
    shown = f"{load_settings().to_masked_dict()} {load_settings()!r}"
    assert "hunter" not in str(load_settings().to_masked_dict())
    assert "host/db" in str(load_settings().to_masked_dict()["PALIMPSEST_DATABASE_URL"])
    assert "hunter2" not in shown


def test_settings_handed_to_another_process_arrive_whole(monkeypatch):
    monkeypatch.setenv("PALIMPSEST_PLATFORM__BETPAWA__PROXY", "http://me:secret@proxy:8080")
    monkeypatch.setenv("PALIMPSEST_PLATFORM__BETPAWA__HEADERS", '{"cookie": "a=b"}')
    monkeypatch.setenv("PALIMPSEST_HOME_PLATFORM", "sportybet")
    monkeypatch.setenv("PALIMPSEST_EMBEDDED_DURABLE", "false")
    monkeypatch.setenv("PALIMPSEST_KICKOFF_TIERS", '{"60": 10, "240": 30}')
    monkeypatch.setenv("PALIMPSEST_STALE_AFTER_MINUTES", '{"odds": [5, 6]}')
    monkeypatch.setenv("PALIMPSEST_ALERT_CHANNELS", '["pagers.big:Pager", "mail:Mail"]')
    monkeypatch.setenv("PALIMPSEST_ALERT_WEBHOOK_URL", "https://hooks.example.com/T1?x=%20")
    handed = load_settings()
    for name, value in handed.to_environment().items():
        monkeypatch.setenv(name, value)
    assert load_settings() == handed


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("PALIMPSEST_SPORT=football\n".encode("utf-16"), 1, "this is not UTF-8. Save the file as UTF-8."),
        (b"PALIMPSEST_SPORT=football\nA=\xff\n", 2, "this is not UTF-8"),
        (b'# ours\n\nPALIMPSEST_HOME_DIR="abc\nA=b\n', 3, "this is not NAME=value. Is a quote not closed?"),
        (b"PALIMPSEST_KICKOFF_TIERS=often\n", 1, "PALIMPSEST_KICKOFF_TIERS is not JSON"),
        (b"\nPALIMPSEST_PLATFORM__BETPAWA__HEADERS={\n", 2, "PALIMPSEST_PLATFORM__BETPAWA__HEADERS is not JSON"),
    ],
)
def test_a_broken_dotenv_is_one_line_that_names_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, line: int, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(content)
    with pytest.raises(SettingsError) as raised:
        load_settings()
    assert str(raised.value).startswith(f".env, line {line}: {says}")
    assert "\n" not in str(raised.value)


def test_a_dotenv_with_a_byte_order_mark_is_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("PALIMPSEST_UI_PORT=3456\nPALIMPSEST_REPORT_DAYS=9\n", encoding="utf-8-sig")
    assert (load_settings().ui_port, load_settings().report_days) == (3456, 9)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PALIMPSEST_PLATFORM", '{"sportybet": {"max_in_flight": 7}}'),
        ("PALIMPSEST_PLATFORM__SPORTYBET", '{"max_in_flight": 7}'),
        ("PALIMPSEST_SPORTYBET__MAX_IN_FLIGHT", "7"),
    ],
)
def test_other_names_of_a_platforms_variables_are_not_read(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    assert load_settings().get_platform(SPORTYBET).max_in_flight == 5
    assert name in {unknown.name for unknown in find_unknown_settings()}


@pytest.mark.parametrize("order", [1, -1])
def test_a_single_header_wins_over_the_headers_as_json_in_any_order(
    monkeypatch: pytest.MonkeyPatch, order: int
) -> None:
    variables = {"HEADERS__COOKIE": "session=a", "HEADERS": '{"x-y": "1", "Cookie": "session=b"}'}
    for name in [*variables][::order]:
        monkeypatch.setenv(f"PALIMPSEST_PLATFORM__SPORTPESA__{name}", variables[name])
    headers = load_settings().get_platform(Platform("sportpesa")).headers
    assert {name: value.get_secret_value() for name, value in headers.items()} == {"cookie": "session=a", "x-y": "1"}
    assert "session=a" in load_settings().list_secrets()


def test_the_environment_wins_over_the_file_key_by_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text(
        'PALIMPSEST_PLATFORM__SPORTYBET__COUNTRY=gh\nPALIMPSEST_PLATFORM__SPORTYBET__HEADERS={"Cookie": "a", "x-y": "1"}\n'
    )
    monkeypatch.setenv("PALIMPSEST_PLATFORM__SPORTYBET__COUNTRY", "ke")
    monkeypatch.setenv("PALIMPSEST_PLATFORM__SPORTYBET__HEADERS__COOKIE", "b")
    found = load_settings().get_platform(SPORTYBET)
    assert found.params == {"country": "ke"}
    assert {name: value.get_secret_value() for name, value in found.headers.items()} == {"cookie": "b", "x-y": "1"}


@pytest.mark.parametrize("value", ['"secret"', "[1]", "null"])
def test_json_of_a_wrong_shape_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    name = "PALIMPSEST_PLATFORM__SPORTPESA__HEADERS"
    monkeypatch.setenv("PALIMPSEST_PLATFORM__SPORTPESA__HEADERS__COOKIE", "secret")
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load_settings()
    assert str(refused.value).startswith(f"{name} is not a JSON object of the right shape; write it like {{")
    assert "secret" not in str(refused.value)
    monkeypatch.delenv(name)
    (tmp_path / ".env").write_text(f"\n{name}='{value}'\n")
    with pytest.raises(SettingsError, match=rf"^\.env, line 2: {name} is not a JSON object"):
        load_settings()


def test_a_country_of_a_known_platform_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    ghana = Platform("sportybet-gh")
    monkeypatch.setenv("PALIMPSEST_PLATFORMS", "betpawa, sportybet,sportybet-gh")
    found = load_settings()
    assert (found.platforms, list(found.platform)) == ([BETPAWA, SPORTYBET, ghana],) * 2
    assert found.get_platform(ghana).params == {"country": "gh"}
    assert found.get_platform(ghana).max_in_flight == found.get_platform(SPORTYBET).max_in_flight == 5
    monkeypatch.setenv("PALIMPSEST_PLATFORM__SPORTYBET_GH__MAX_IN_FLIGHT", "2")
    assert load_settings().get_platform(ghana).max_in_flight == 2
    assert load_settings().to_masked_dict()["PALIMPSEST_PLATFORM__SPORTYBET_GH__COUNTRY"] == "gh"


def test_a_platform_without_a_pack_has_no_settings_and_hinders_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PALIMPSEST_PLATFORMS", "betpawa,bet9ja,nobody")
    monkeypatch.setenv("PALIMPSEST_PLATFORM__NOBODY__MAX_IN_FLIGHT", "2")
    found = load_settings()
    assert (found.platforms, list(found.platform)) == ([BETPAWA, BET9JA, "nobody"], [BETPAWA, BET9JA])
