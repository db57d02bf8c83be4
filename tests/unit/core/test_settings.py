"""Settings are read once, from one order of places; what is wrong is named with what to do."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import SettingsConfigDict

from leyden.core import ConfigurationError, Section, Settings
from leyden.core.settings import IMPLIED_ENVIRONMENT, files_in

SECRET = "hunter2"


class Shop(Section):
    url: SecretStr = SecretStr("sqlite://")
    pool_size: int = Field(default=5, ge=1)
    names: tuple[str, ...] = ()

    @field_validator("names")
    @classmethod
    def no_empty_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if "" in names:
            raise ValueError("a name is empty.")
        return names


Write = Callable[..., type["App"]]


class App(Settings):
    shop: Shop = Shop()
    extra: Shop | None = None


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the three places and return a Settings class that reads them."""

    def write(*, toml: str = "", dotenv: str = "", **environment: str) -> type[App]:
        (tmp_path / "config.toml").write_text(toml)
        (tmp_path / ".env").write_text(dotenv)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

        class Here(App):
            model_config = files_in(tmp_path)

        return Here

    return write


def refusal(settings: type[Settings]) -> str:
    with pytest.raises(ConfigurationError) as refused:
        settings()
    return str(refused.value)


def test_the_defaults_of_the_code_hold_where_nothing_is_written() -> None:
    assert App().shop == Shop()


def test_the_environment_goes_before_dotenv_and_dotenv_before_toml(write: Write) -> None:
    settings = write(
        toml='[shop]\nurl = "toml"\npool_size = 7\nnames = ["toml"]',
        dotenv="APP_SHOP__URL=dotenv\nAPP_SHOP__POOL_SIZE=8\n",
        APP_SHOP__URL="environment",
    )()
    assert settings.shop.url.get_secret_value() == "environment"
    assert settings.shop.pool_size == 8
    assert settings.shop.names == ("toml",)


def test_a_whole_section_may_come_as_json(write: Write) -> None:
    assert write(APP_SHOP='{"pool_size": 9}')().shop.pool_size == 9


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ({"APP_SHOPP__URL": "x"}, "There is no setting APP_SHOPP__URL. Did you mean APP_SHOP?"),
        ({"app_shopp__url": "x"}, "There is no setting app_shopp__url. Did you mean APP_SHOP?"),
        ({"APP_SHOP__URLL": "x"}, "There is no setting shop.urll. Did you mean shop.url?"),
        ({"APP_EXTRA__URLL": "x"}, "There is no setting extra.urll. Did you mean extra.url?"),
        ({"dotenv": "APP_SHOPP__URL=x"}, "There is no setting shopp__url. Did you mean shop?"),
        ({"dotenv": "APP_SHOP__URLL=x"}, "There is no setting shop.urll. Did you mean shop.url?"),
        ({"toml": "[shopp]\nurl = 'x'"}, "There is no setting shopp. Did you mean shop?"),
        ({"toml": "[shop]\npoolsize = 1"}, "There is no setting shop.poolsize. Did you mean shop.pool_size?"),
        ({"toml": "[shop]\nzzz = 1"}, "There is no setting shop.zzz. Known here: names, pool_size, url."),
    ],
)
def test_an_unknown_option_is_named_with_the_nearest_one(write: Write, places: dict[str, str], expected: str) -> None:
    assert refusal(write(**places)) == expected


def test_lines_of_other_tools_in_dotenv_are_none_of_our_business(write: Write) -> None:
    assert write(dotenv="COMPOSE_PROJECT_NAME=shop\nAPP_SHOP__POOL_SIZE=3\n")().shop.pool_size == 3


def test_a_wrong_value_is_named_without_being_shown(write: Write) -> None:
    message = refusal(write(APP_SHOP__POOL_SIZE=SECRET))
    assert message == (
        "The setting shop.pool_size is wrong: Input should be a valid integer, unable to parse string as an integer."
    )


def test_each_wrong_thing_has_a_line_of_its_own(write: Write) -> None:
    message = refusal(write(toml='environment = "prod"\n[shop]\npool_size = 0\nnames = [""]\nurll = "x"'))
    assert message.splitlines() == [
        "The setting environment is wrong: Input should be 'development', 'test' or 'production'.",
        "The setting shop.pool_size is wrong: Input should be greater than or equal to 1.",
        "The setting shop.names is wrong: a name is empty.",
        "There is no setting shop.urll. Did you mean shop.url?",
    ]


def test_a_missing_setting_says_which_variable_to_set() -> None:
    class Key(Section):
        value: SecretStr

    class NeedsKey(Settings):
        key: Key
        name: str

    assert refusal(NeedsKey).splitlines() == [
        "The setting key is missing. Set APP_KEY or put it in config.toml.",
        "The setting name is missing. Set APP_NAME or put it in config.toml.",
    ]


@pytest.mark.parametrize("json", [f"{{{SECRET}", SECRET, f'["{SECRET}"]'])
def test_a_section_that_is_no_object_is_refused_without_being_shown(write: Write, json: str) -> None:
    message = refusal(write(APP_SHOP=json))
    assert SECRET not in message
    assert "shop" in message


def test_toml_that_cannot_be_read_is_named_with_the_place(write: Write, tmp_path: Path) -> None:
    message = refusal(write(toml=f'[shop]\nurl = "{SECRET}" nonsense'))
    assert message.startswith(f"{tmp_path / 'config.toml'} is no valid TOML")
    assert "line 2" in message
    assert SECRET not in message


@pytest.mark.parametrize("name", [".env", "config.toml"])
def test_a_file_that_is_not_utf8_is_refused_with_a_sentence(write: Write, tmp_path: Path, name: str) -> None:
    settings = write()
    (tmp_path / name).write_bytes(b"APP_SHOP__URL=\xff\xfe")
    assert "is not UTF-8" in refusal(settings)


def test_a_secret_never_shows_in_repr_or_str(write: Write) -> None:
    settings = write(APP_SHOP__URL=SECRET)()
    for shown in (repr(settings), str(settings), repr(settings.shop), f"{settings.shop}", settings.model_dump_json()):
        assert SECRET not in shown


def test_a_refusal_drags_no_value_along_in_its_causes(write: Write) -> None:
    with pytest.raises(ConfigurationError) as refused:
        write(APP_SHOP__POOL_SIZE=SECRET)()
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__
    assert SECRET not in str(refused.value.__context__)


def test_settings_and_sections_are_frozen() -> None:
    settings = App()
    with pytest.raises(ValidationError, match="frozen"):
        settings.shop = Shop()  # type: ignore[misc]  # the mistake under test
    with pytest.raises(ValidationError, match="frozen"):
        settings.shop.pool_size = 1  # type: ignore[misc]  # the mistake under test


def test_a_prefix_of_its_own_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    class Prefixed(Settings):
        model_config = SettingsConfigDict(env_prefix="kiosk_")
        shop: Shop = Shop()

    monkeypatch.setenv("KIOSK_SHOP__POOL_SIZE", "4")
    assert Prefixed().shop.pool_size == 4
    monkeypatch.setenv("KIOSK_SHOPP__POOL_SIZE", "4")
    assert refusal(Prefixed) == "There is no setting KIOSK_SHOPP__POOL_SIZE. Did you mean KIOSK_SHOP?"


def test_without_a_prefix_the_rest_of_the_shell_is_left_alone() -> None:
    class Bare(Settings):
        model_config = SettingsConfigDict(env_prefix="")

    assert Bare().environment == "production"


def test_the_environment_is_production_unless_somebody_says_otherwise(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert App().environment == "production"
    assert not App().development
    monkeypatch.setenv(IMPLIED_ENVIRONMENT, "development")
    assert App().development
    assert write(toml='environment = "test"')().environment == "test"
    assert write(APP_ENVIRONMENT="production")().environment == "production"


def test_one_option_from_outside_leaves_the_others_of_its_section_as_in_the_code(write: Write) -> None:
    class Depot(Section):
        street: str
        doors: int = 1

    class Storage(Settings):
        depot: Depot = Depot(street="Harbour Road", doors=2)

    write(APP_DEPOT__DOORS="3")

    assert Storage().depot == Depot(street="Harbour Road", doors=3)


@pytest.mark.parametrize("variable", ["APP_HOME", "APP_NAME", "APP_REGION"])
def test_variables_a_platform_sets_are_none_of_our_business(write: Write, variable: str) -> None:
    write(**{variable: "/srv"})()


@pytest.mark.parametrize("variable", ["APP_ENVIROMENT", "APP_SHOP_URL", "APP_PAYMENTS__KEY"])
def test_variables_that_were_meant_for_us_are_refused(write: Write, variable: str) -> None:
    assert variable in refusal(write(**{variable: "x"}))
