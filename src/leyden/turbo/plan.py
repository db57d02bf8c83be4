"""What a route does, read once from FastAPI's tree of dependencies: values to read, calls in their order, the answer."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from fastapi.datastructures import DefaultPlaceholder
from fastapi.params import Form
from starlette.responses import JSONResponse

from leyden.turbo import internals
from leyden.turbo.internals import Dependant, ModelField

LISTS = ("dependencies", "path_params", "query_params", "header_params", "cookie_params", "body_params")
"""Those of a dependant that are compiled."""


class Unknown(Exception):  # noqa: N818 -- no error: FastAPI serves the route
    """Why a route is left to FastAPI, in a few words."""


class Place(Enum):
    """Where a parameter is read, in FastAPI's order."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"
    COOKIE = "cookie"


class Kind(Enum):
    """How a dependency is called."""

    AWAITED = "awaited"
    THREAD = "in a thread"
    GENERATOR = "entered, and left later"


@dataclass(frozen=True, slots=True)
class Read:
    """One parameter, by its only name."""

    field: ModelField
    place: Place
    alias: str
    many: bool


@dataclass(frozen=True, slots=True)
class Group:
    """The parameters that one function reads at one place; `reads` is None where only FastAPI's own code reads them."""

    place: Place
    fields: tuple[ModelField, ...]
    reads: tuple[Read, ...] | None


@dataclass(frozen=True, slots=True)
class Node:
    """A dependency, or the endpoint: first its children, then what it reads itself, then its call."""

    dependant: Dependant
    children: tuple["Node", ...]
    groups: tuple[Group, ...]
    kind: Kind
    key: tuple[Any, ...]
    repeated: bool

    @property
    def name(self) -> str | None:
        return self.dependant.name

    def walk(self) -> Iterator["Node"]:
        for child in self.children:
            yield from child.walk()
        yield self

    @property
    def takes_connection(self) -> bool:
        own = self.dependant
        return bool(own.request_param_name or own.http_connection_param_name)

    @property
    def tells_connection(self) -> bool:
        """Whether code that is not FastAPI's own sees the request, and may change what others read."""
        return self.takes_connection and not _is_stock_scheme(self.dependant)


@dataclass(frozen=True, slots=True)
class Body:
    """Of a request. `strict` is whether JSON must be called so; a form has limits, beside those of the routers around."""

    strict: bool
    form: bool
    limits: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """How what the endpoint returns becomes a response."""

    field: ModelField | None
    options: Mapping[str, Any]
    response_class: Any
    straight: bool
    """To JSON by Pydantic, without objects between."""
    status: int | None

    @property
    def plain(self) -> bool:
        """Status and headers are known ahead."""
        known = self.response_class is JSONResponse or self.straight
        return known and internals.is_body_allowed_for_status_code(self.status) and (self.status or 200) >= 200  # noqa: PLR2004 -- of HTTP


@dataclass(frozen=True, slots=True)
class RoutePlan:
    root: Node
    body: Body | None
    embed: bool
    answer: Answer
    overrides: Any
    """Whose `dependency_overrides` are heeded."""

    @property
    def nodes(self) -> list[Node]:
        return list(self.root.walk())

    @property
    def stacked(self) -> bool:
        """Whether something is entered that has to be left later."""
        return any(node.kind is Kind.GENERATOR for node in self.nodes)

    @property
    def tells_connection(self) -> bool:
        """Whether code that is not FastAPI's own sees the request, and what FastAPI keeps in its scope."""
        return any(node.tells_connection for node in self.nodes)

    @property
    def needs_request(self) -> bool:
        by_fastapi = any(group.reads is None for node in self.nodes for group in node.groups)
        return self.has_form or by_fastapi or any(node.takes_connection for node in self.nodes)

    @property
    def has_form(self) -> bool:
        return self.body is not None and self.body.form

    @property
    def inside(self) -> bool:
        """Whether it needs what FastAPI's layers around the router put into the scope."""
        return self.stacked or self.tells_connection or self.has_form

    @property
    def may_be_late(self) -> bool:
        """Whether somebody may install an override while the route runs: a dependency of another, or while the body comes."""
        before = len(self.nodes) - 1 + (self.body is not None)
        return self.overrides is not None and len(self.nodes) > 1 and before > 1

    @property
    def tells_response(self) -> bool:
        return any(node.dependant.response_param_name for node in self.nodes)

    @property
    def uses_background(self) -> bool:
        return any(node.dependant.background_tasks_param_name for node in self.nodes)


def plan_route(app: Any) -> RoutePlan:
    """Of the application that FastAPI has made for a route. Raises Unknown for what is better left to FastAPI."""
    known = internals.handler_variables(app)
    if known is None:
        raise Unknown("its handler is not FastAPI's own")
    if known["is_sse_stream"] or known["is_json_stream"]:
        raise Unknown("it streams")
    dependant = known["dependant"]
    if internals.is_generator(dependant.call) or internals.is_async_generator(dependant.call):
        raise Unknown("it streams")
    overrides = known["dependency_overrides_provider"]
    if overrides is not None and not hasattr(overrides, "dependency_overrides"):
        raise Unknown("its overrides are not where FastAPI looks for them")
    return RoutePlan(
        root=_tree(dependant, Kind.AWAITED if known["is_coroutine"] else Kind.THREAD),
        body=_body(known),
        embed=known["embed_body_fields"],
        answer=_answer(known),
        overrides=overrides,
    )


def _tree(dependant: Dependant, kind: Kind) -> Node:
    """An endpoint is called as it was to be when the route was made, whatever calls it now."""
    times = Counter(internals.cache_key(dependant=each) for each in _all(dependant))
    return replace(_node(dependant, times), kind=kind)


def _all(dependant: Dependant) -> Iterator[Dependant]:
    for child in dependant.dependencies:
        yield from _all(child)
        yield child


def _node(dependant: Dependant, times: Mapping[tuple[Any, ...], int]) -> Node:
    if dependant.concurrency is not None:
        raise Unknown("a dependency has max_concurrency")
    key = internals.cache_key(dependant=dependant)
    return Node(
        dependant=dependant,
        children=tuple([_node(child, times) for child in dependant.dependencies]),
        groups=tuple(_groups(dependant)),
        kind=_kind(dependant),
        key=key,
        repeated=times.get(key, 0) > 1,
    )


def _kind(dependant: Dependant) -> Kind:
    if internals.is_generator(dependant.call) or internals.is_async_generator(dependant.call):
        return Kind.GENERATOR
    return Kind.AWAITED if internals.is_coroutine(dependant.call) else Kind.THREAD


def _groups(dependant: Dependant) -> Iterator[Group]:
    found = {
        Place.PATH: dependant.path_params,
        Place.QUERY: dependant.query_params,
        Place.HEADER: dependant.header_params,
        Place.COOKIE: dependant.cookie_params,
    }
    for place, fields in found.items():
        if fields:
            reads = [_read(field, place) for field in fields]
            known = tuple([read for read in reads if read is not None])
            yield Group(place, tuple(fields), known if len(known) == len(fields) else None)


def _read(field: ModelField, place: Place) -> Read | None:
    """None for a parameter that has several names, or is a model of several parameters."""
    if internals.param_model(field) is not None:
        return None
    aliases = internals.param_aliases(field)
    if len(aliases) != 1 or (place is Place.HEADER and not _is_latin(aliases[0][1])):
        return None
    sequence = internals.field_annotation_is_sequence(field.field_info.annotation)
    many = sequence and not internals.is_json_field(field) and place in (Place.QUERY, Place.HEADER)
    if sequence and not many:
        return None  # whose emptiness FastAPI looks at
    return Read(field, place, aliases[0][1], many)


def _is_latin(name: str) -> bool:
    return all(ord(letter) < 256 for letter in name.lower())  # noqa: PLR2004 -- what a header can be called


def _body(known: Mapping[str, Any]) -> Body | None:
    if known["body_field"] is None:
        return None
    form = isinstance(known["body_field"].field_info, Form)
    return Body(strict=known["actual_strict_content_type"], form=form, limits=known["form_limits"])


def _answer(known: Mapping[str, Any]) -> Answer:
    field = known["response_field"]
    options = {
        name: known[f"response_model_{name}"]
        for name in ("include", "exclude", "by_alias", "exclude_unset", "exclude_defaults", "exclude_none")
    }
    default = isinstance(known["response_class"], DefaultPlaceholder)
    return Answer(
        field=field,
        options=options,
        response_class=known["actual_response_class"],
        straight=field is not None and default,
        status=known["status_code"],
    )


def _is_stock_scheme(dependant: Dependant) -> bool:
    """One of FastAPI's own security schemes, which only read."""
    call = dependant.call
    return internals.is_security_scheme(dependant=dependant) and type(call).__module__.startswith("fastapi.security.")
