"""Which names an app and its features can have, and what is called after them."""

import builtins
import keyword
import re
import sys
from importlib.util import find_spec

from leyden.scaffold.errors import ScaffoldError

LONGEST = 28
_PROJECT = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")
_FEATURE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")

_TAKEN_FOLDERS = frozenset({"migrations", "tests", "var"})
_TAKEN_FEATURES = frozenset(
    {"app", "settings", "auth", "data", "http", "core", "create_app"}  # what app.py imports and makes
    | {"users", "auth_sessions", "auth_refresh_tokens", "alembic_version"}  # tables that are there already
)
_TAKEN_MODELS = frozenset(
    {"Battery", "ForeignKey", "Mapped", "Model", "String", "Text"}
    | {"AsyncSession", "CurrentUser", "NotFoundError", "Page", "PageDep", "ReaderDep", "SessionDep", "User"}
)
_TAKEN_ITEMS = frozenset(
    {"changes", "found", "new", "page", "query", "router", "session", "user"}
    | {"apply", "paginate", "select", "status", "uuid"}
)


def package_of(name: str) -> str:
    """The Python package of an app of this name. Raises ScaffoldError when an app cannot be called so."""
    if name == "feature":
        raise ScaffoldError(
            "An app cannot be called 'feature': that word makes one, as in `leyden new feature videos`."
        )
    _refuse_ill_formed(
        name, _PROJECT, "app", "small letters, digits, '_' and '-', and begins with a letter, like 'shop'"
    )
    package = name.replace("-", "_")
    if keyword.iskeyword(package) or package in _TAKEN_FOLDERS:
        raise ScaffoldError(
            f"'{name}' cannot be the name of a Python package here. Choose another, like 'my_{package}'."
        )
    if package in sys.stdlib_module_names or find_spec(package) is not None:
        raise ScaffoldError(
            f"There is a Python package '{package}' already, which the app would hide. Choose another name, like 'my_{package}'."
        )
    return package


def refuse_feature(name: str) -> None:
    """Raises ScaffoldError when a feature cannot be called so."""
    _refuse_ill_formed(
        name, _FEATURE, "feature", "small letters, digits and '_', and begins with a letter, like 'videos'"
    )
    model = model_of(name)
    if keyword.iskeyword(name) or keyword.iskeyword(model) or name in _TAKEN_FEATURES or model in _TAKEN_MODELS:
        raise ScaffoldError(
            f"A feature cannot be called '{name}': the name is taken. Choose another, like 'my_{name}'."
        )


def singular(name: str) -> str:
    """One of several, as far as endings tell: notes -> note, categories -> category, boxes -> box."""
    for ending, replacement in (
        ("ies", "y"),
        ("sses", "ss"),
        ("xes", "x"),
        ("ches", "ch"),
        ("shes", "sh"),
        ("ss", "ss"),
    ):
        if name.endswith(ending) and len(name) > len(ending) + 1:
            return name.removesuffix(ending) + replacement
    return name.removesuffix("s") if len(name) > 2 else name  # noqa: PLR2004 -- two letters leave no word


def model_of(feature: str) -> str:
    """The class of one row: blog_posts -> BlogPost."""
    return "".join(part.capitalize() for part in singular(feature).split("_"))


def item_of(feature: str) -> str:
    """The variable that holds one row; `item` where the word means something in the code already."""
    item = singular(feature)
    taken = keyword.iskeyword(item) or item in _TAKEN_ITEMS or item == feature or hasattr(builtins, item)
    return "item" if taken else item


def heading_of(name: str) -> str:
    """The name for people: my-shop -> My shop."""
    return re.sub(r"[_-]+", " ", name).capitalize()


def _refuse_ill_formed(name: str, pattern: re.Pattern[str], what: str, rule: str) -> None:
    if len(name) > LONGEST:
        raise ScaffoldError(f"The name of this {what} is longer than {LONGEST} characters. Choose a shorter one.")
    if not pattern.fullmatch(name):
        raise ScaffoldError(f"'{name}' cannot be the name of {'an' if what == 'app' else 'a'} {what}: it has {rule}.")
