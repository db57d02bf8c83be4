"""An app's settings: environment over `.env` over `config.toml` over the defaults in code, read once."""

import os
import tomllib
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from leyden.core.errors import ConfigurationError

Environment = Literal["development", "test", "production"]

IMPLIED_ENVIRONMENT = "LEYDEN_IMPLIED_ENVIRONMENT"
"""What `environment` is where nothing sets it; the command line implies development on this machine."""


class Section(BaseModel):
    """One battery's settings: frozen, and an option it does not know is refused."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def implied_environment() -> Any:
    """What the command line implies, or production."""
    return os.environ.get(IMPLIED_ENVIRONMENT, "production")


class Settings(BaseSettings):
    """The root of an app's settings; a subclass adds one section a battery.

    Read from `APP_<SECTION>__<OPTION>` in the environment, then `.env`, then `config.toml`.
    Raises ConfigurationError with one line for each thing that is wrong; values are never printed.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix="APP_",
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,  # one option set outside leaves the section's others as in code
        env_file=".env",
        env_file_encoding="utf-8",
        dotenv_filtering="match_prefix",
        toml_file="config.toml",
        extra="forbid",
        frozen=True,
        validate_default=True,
        hide_input_in_errors=True,
    )

    environment: Environment = Field(default_factory=implied_environment)

    def __init__(self, **values: Any) -> None:
        try:
            _refuse_unknown_variables(type(self))
            super().__init__(**values)
        except ValidationError as error:
            raise ConfigurationError(_explain(type(self), error)) from None
        except tomllib.TOMLDecodeError as error:
            raise ConfigurationError(f"{self.model_config.get('toml_file')} is no valid TOML: {error}.") from None
        except UnicodeDecodeError:
            raise ConfigurationError("The .env file or config.toml is not UTF-8. Save it as UTF-8.") from None
        except SettingsError as error:
            raise ConfigurationError(
                f'{error}. Lists and sections are JSON, such as ["a", "b"]; an option is APP_SECTION__OPTION.'
            ) from None

    @property
    def development(self) -> bool:
        return self.environment == "development"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            init_settings,
            env_settings,
            dotenv_settings,
            TomlConfigSettingsSource(settings_cls),
            file_secret_settings,
        )


def files_in(root: Path) -> SettingsConfigDict:
    """The model_config of a Settings class whose `.env` and `config.toml` lie in this folder."""
    return SettingsConfigDict(env_file=root / ".env", toml_file=root / "config.toml")


def _refuse_unknown_variables(cls: type[Settings]) -> None:
    prefix = cls.model_config.get("env_prefix", "").upper()
    for variable in os.environ:
        if not prefix or not variable.upper().startswith(prefix):  # without a prefix all of the shell would be refused
            continue
        name, nested, _ = variable[len(prefix) :].lower().partition("__")
        if name not in cls.model_fields and (nested or _nearly(name, cls.model_fields)):
            raise ConfigurationError(_unknown(variable, name, cls.model_fields, before=prefix, shown=str.upper))


def _nearly(name: str, known: Mapping[str, Any]) -> bool:
    """Whether a variable was meant for us: a platform may have an APP_HOME of its own."""
    return bool(get_close_matches(name, list(known), cutoff=0.7)) or any(
        name.startswith(f"{field}_") for field in known
    )


def _explain(cls: type[BaseModel], error: ValidationError) -> str:
    return "\n".join(_lines(cls, error))


def _lines(cls: type[BaseModel], error: ValidationError) -> Iterator[str]:
    for details in error.errors(include_url=False, include_input=False, include_context=False):
        path = [str(part) for part in details["loc"]]
        if details["type"] == "extra_forbidden":
            name = path[-1].partition("__")[0]  # a variable of .env comes whole: datta__url
            yield _unknown(".".join(path), name, _options_at(cls, path[:-1]), before=_prefix(path))
        elif details["type"] == "missing":
            yield f"The setting {'.'.join(path)} is missing. Set {_variable(cls, path)} or put it in config.toml."
        else:
            yield f"The setting {'.'.join(path)} is wrong: {_reason(details)}."


def _reason(details: ErrorDetails) -> str:
    return details["msg"].removeprefix("Value error, ").rstrip(".")


def _variable(cls: type[BaseModel], path: list[str]) -> str:
    prefix = str(cls.model_config.get("env_prefix", ""))
    return prefix + "__".join(path).upper()


def _prefix(path: list[str]) -> str:
    return "".join(f"{part}." for part in path[:-1])


def _options_at(cls: type[BaseModel], path: list[str]) -> Mapping[str, Any]:
    model: Any = cls
    for part in path:
        found = getattr(model, "model_fields", {}).get(part)
        model = _section_in(found.annotation) if found is not None else None
    return getattr(model, "model_fields", {})


def _section_in(annotation: Any) -> Any:
    """The section in `AuthSettings` and in `AuthSettings | None`."""
    return next((kind for kind in get_args(annotation) if hasattr(kind, "model_fields")), annotation)


def _unknown(what: str, name: str, known: Mapping[str, Any], *, before: str = "", shown: Any = str) -> str:
    near = get_close_matches(name, list(known), n=1, cutoff=0.4)
    hint = f"Did you mean {before}{shown(near[0])}?" if near else f"Known here: {', '.join(sorted(known)) or 'none'}."
    return f"There is no setting {what}. {hint}"
