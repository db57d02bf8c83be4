"""Listings: what a list may be filtered and sorted by, and nothing else."""

from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from inspect import Parameter, Signature
from keyword import iskeyword
from types import GenericAlias
from typing import Annotated, Any, Literal, Protocol, TypeVar, cast

from fastapi import Query
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError
from sqlalchemy import Select, Text
from starlette.requests import HTTPConnection

from leyden.core import ConfigurationError
from leyden.data.filters import Attribute, Filter, Step, nearest, split
from leyden.data.parameters import dependant_of, query_parameters
from leyden.data.search import Search

S = TypeVar("S", bound=Select[Any])

SORT = "sort"
QUERY = "q"
_TAKEN = frozenset({SORT, "cursor", "page", "size"})
_UNKNOWN_PARAMETER = "There is no parameter '{name}'. Did you mean '{nearest}'?"
_UNKNOWN_SORT = "There is no sort '{name}'. Did you mean '{nearest}'?"
_REPEATED_SORT = "'{name}' can be sorted by once."


@dataclass(frozen=True, slots=True)
class Listing:
    """What one request asked of a list, as steps from statement to statement."""

    steps: tuple[Step, ...] = field(default=(), repr=False)

    def apply(self, statement: S) -> S:
        """The statement with the filters that were asked for, in the order that was asked for."""
        changed: Any = statement
        for step in self.steps:
            changed = step(changed)
        return cast("S", changed)


class Facet(Protocol):
    """One parameter of a listing: what OpenAPI says of it, and what it does to the statement when it is there."""

    @property
    def key(self) -> str: ...

    def parameter(self) -> Parameter: ...

    def step(self, values: Mapping[str, Any]) -> Step | None: ...


@dataclass(frozen=True, slots=True)
class Sort:
    """`?sort=-created_at,title`: by which columns, with a minus where it is downwards."""

    columns: Mapping[str, Attribute]
    default: tuple[str, ...]
    key: str = SORT

    def __post_init__(self) -> None:
        for name, column in self.columns.items():
            if isinstance(column.type, Text) or getattr(column.type, "length", 0) is None:
                raise ConfigurationError(f"{name} cannot be a sort: it has no greatest length, which a cursor needs.")
        try:
            self._known(list(self.default))
        except PydanticCustomError as error:
            raise ConfigurationError(f"The default of the listing is wrong. {error.message()}") from None

    @property
    def names(self) -> list[str]:
        return [sign + name for name in self.columns for sign in ("", "-")]

    def parameter(self) -> Parameter:
        about = Query(title=SORT, description="What comes first, divided by commas; a minus turns it round")
        default = list(self.default) or None
        kind = self._asked() if default else self._asked() | None
        asked: Any = Annotated[kind, BeforeValidator(self._known), about]
        return Parameter(SORT, Parameter.KEYWORD_ONLY, default=default, annotation=asked)

    def step(self, values: Mapping[str, Any]) -> Step | None:
        asked = values[SORT]
        if not asked:
            return None
        columns = [(self.columns[name.removeprefix("-")], name) for name in asked]
        clauses = [column.desc() if name.startswith("-") else column.asc() for column, name in columns]
        return lambda statement: statement.order_by(None).order_by(*clauses)

    def _asked(self) -> Any:
        choice: Any = Literal.__getitem__(tuple(self.names))
        return GenericAlias(list, (choice,))

    def _known(self, asked: Any) -> Any:
        names = split(asked)
        seen: set[str] = set()
        for name in names or ():
            if name not in self.names:
                near = nearest(name, self.names)
                raise PydanticCustomError("unknown_sort", _UNKNOWN_SORT, {"name": name, "nearest": near})
            if (plain := name.removeprefix("-")) in seen:
                raise PydanticCustomError("repeated_sort", _REPEATED_SORT, {"name": plain})
            seen.add(plain)
        return names


@dataclass(frozen=True, slots=True)
class Searched:
    """`?q=words`: what a search finds."""

    search: Search
    key: str = QUERY

    def parameter(self) -> Parameter:
        columns = ", ".join(f"`{column.key}`" for column in self.search.columns)
        about = Query(title=QUERY, description=f"Words, all of which occur in {columns}, in capitals or not")
        return Parameter(QUERY, Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[str | None, about])

    def step(self, values: Mapping[str, Any]) -> Step | None:
        asked = values[QUERY]
        return (lambda statement: self.search.matching(statement, asked)) if asked else None


def listing(
    *,
    filters: Mapping[Attribute, Sequence[str]] | None = None,
    sorts: Sequence[Attribute] = (),
    default: str = "",
    names: Mapping[Attribute, str] | None = None,
    search: Search | None = None,
) -> Callable[..., Coroutine[Any, Any, Listing]]:
    """A dependency that reads filters and sorts from the query, those of these lists only.

    `filters` says for each attribute of a model by which operators, `default` how the list is sorted when nobody asks,
    `names` what an attribute is called in the API where that is not its own name, and `search` what `?q=` looks through.
    A request with a parameter that its route does not declare is refused. Raises ConfigurationError for a list that
    cannot work.
    """
    renamed = names or {}

    def name_of(column: Attribute) -> str:
        name = renamed.get(column, column.key)
        if not name.isidentifier() or iskeyword(name):
            raise ConfigurationError(f"'{name}' cannot be a parameter of a listing. Write it as a name in Python.")
        return name

    facets: list[Facet] = [
        Filter(column, name_of(column), operator)
        for column, operators in (filters or {}).items()
        for operator in operators
    ]
    if search is not None:
        facets.append(Searched(search))
    if sorts:
        facets.append(Sort(_by_name(sorts, name_of), tuple(default.split(",")) if default else ()))
    return _dependency(facets)


def _by_name(columns: Sequence[Attribute], name_of: Callable[[Attribute], str]) -> dict[str, Attribute]:
    found: dict[str, Attribute] = {}
    for column in columns:
        if found.setdefault(name_of(column), column) is not column:
            raise ConfigurationError(_doubled(name_of(column)))
    return found


def _dependency(facets: Sequence[Facet]) -> Callable[..., Coroutine[Any, Any, Listing]]:
    if not facets:
        raise ConfigurationError("A listing needs something to filter or to sort by, or a search.")
    for place, facet in enumerate(facets):
        if facet.key in {other.key for other in facets[:place]} or (
            facet.key in _TAKEN and not isinstance(facet, Sort)
        ):
            raise ConfigurationError(_doubled(facet.key))
    known: dict[int, tuple[Dependant, frozenset[str]]] = {}

    async def read(connection: HTTPConnection, **values: Any) -> Listing:
        dependant = dependant_of(connection)
        if dependant is not None:
            if id(dependant) not in known:  # kept with it, so that the id stays its own
                known[id(dependant)] = (dependant, query_parameters(dependant))
            _refuse_unknown(connection, known[id(dependant)][1])
        return Listing(tuple(step for facet in facets if (step := facet.step(values)) is not None))

    connection = Parameter("connection", Parameter.POSITIONAL_OR_KEYWORD, annotation=HTTPConnection)
    signature = Signature([connection, *(facet.parameter() for facet in facets)])
    read.__signature__ = signature  # type: ignore[attr-defined]  # FastAPI reads a function's parameters from here
    return read


def _refuse_unknown(connection: HTTPConnection, known: frozenset[str]) -> None:
    if errors := list(_strangers(connection, known)):
        raise RequestValidationError(errors)


def _strangers(connection: HTTPConnection, known: frozenset[str]) -> Iterator[dict[str, Any]]:
    for name in connection.query_params:
        if name not in known:
            words = {"name": name, "nearest": nearest(name, sorted(known))}
            message = _UNKNOWN_PARAMETER.format(**words)
            yield {"type": "unknown_parameter", "loc": ("query", name), "msg": message, "input": None, "ctx": words}


def _doubled(name: str) -> str:
    return f"Two parameters of a listing are called '{name}'. Give one another name: names={{Model.{name}: '...'}}."
