"""The lines that read and validate the parameters of a dependency, in FastAPI's order."""

from typing import Any

from leyden.turbo import internals
from leyden.turbo.draft import Draft
from leyden.turbo.internals import ModelField
from leyden.turbo.plan import Group, Node, Place, Read

_IMMUTABLE = (str, int, float, bool, bytes, type(None))
_NO_LITERALS = ("inf", "-inf", "nan")
_PARTS = {
    Place.PATH: "request.path_params",
    Place.QUERY: "request.query_params",
    Place.HEADER: "request.headers",
    Place.COOKIE: "request.cookies",
}
_CHEAP = {Place.PATH: 'scope["path_params"]', Place.QUERY: "query", Place.COOKIE: "jar"}


class Reader:
    """Writes into the draft. Where there is a request, everything is read from it: what others change is seen then."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._source = draft.source
        self._plan = draft.plan

    def prepare(self) -> None:
        """What FastAPI reads before any dependency has run."""
        line = self._source.line
        if self._draft.given:
            line("request.query_params, request.headers, request.cookies")
            return
        places = {(read.place, read.many) for read in self._reads()}
        if (Place.QUERY, True) in places:
            line('pairs = query_pairs(scope["query_string"])')
            line("query = dict(pairs)")
        elif (Place.QUERY, False) in places:
            line('text = scope["query_string"]')
            line("query = dict(query_pairs(text)) if text else {}")
        if any(place in (Place.HEADER, Place.COOKIE) for place, _ in places):
            line('headers = scope["headers"]')
        if (Place.COOKIE, False) in places:
            line("jar = cookies(headers)")

    def read(self, node: Node) -> dict[str, str]:
        """The variables that hold the values, by the names of the parameters."""
        found: dict[str, str] = {}
        for group in node.groups:
            if group.reads is None:
                found |= self._by_fastapi(group)
            else:
                found |= {read.field.name: self._one(read) for read in group.reads}
        return found | self._body(node)

    def _reads(self) -> list[Read]:
        return [read for node in self._plan.nodes for group in node.groups for read in group.reads or ()]

    def _by_fastapi(self, group: Group) -> dict[str, str]:
        source = self._source
        fields, values = source.value("FIELDS", list(group.fields)), source.name("values")
        source.line(f"{values}, wrong = read_by_fastapi({fields}, {_PARTS[group.place]})")
        source.line("errors += wrong")
        self._draft.fallible = True
        return {field.name: f"{values}.get({field.name!r})" for field in group.fields}

    def _one(self, read: Read) -> str:
        source, value = self._source, self._source.name("p")
        source.line(f"{value} = {self._raw(read)}")
        empty = f"not {value}" if read.many else f"{value} is None"
        sure = read.place is not Place.PATH and _is_text(read.field)
        if sure and _constant(read.field) == "None":
            return value  # nothing to check and nothing to put in its place
        with source.block(f"if {empty}:"):
            self._absent(read.field, value, (read.place.value, read.alias))
        if not sure:
            with source.block("else:"):
                self._validate(read.field, value, (read.place.value, read.alias))
        return value

    def _raw(self, read: Read) -> str:
        if self._draft.given:
            return f"{_PARTS[read.place]}.{'getlist' if read.many else 'get'}({read.alias!r})"
        if read.place is Place.HEADER:
            name = read.alias.lower().encode("latin-1")
            return f"header{'_list' if read.many else ''}(headers, {name!r})"
        if read.many:
            return f"[value for name, value in pairs if name == {read.alias!r}]"
        return f"{_CHEAP[read.place]}.get({read.alias!r})"

    def _body(self, node: Node) -> dict[str, str]:
        fields = node.dependant.body_params
        if not fields:
            return {}
        if not self._plan.has_form and len(fields) == 1 and not self._plan.embed and not internals.should_embed(fields):
            return {fields[0].name: self._whole_body(fields[0])}
        source = self._source
        listed, values = source.value("FIELDS", list(fields)), source.name("values")
        source.line(
            f"{values}, wrong = await read_body_by_fastapi(body_fields={listed}, received_body=body, "
            f"embed_body_fields={self._plan.embed})"
        )
        source.line("errors += wrong")
        self._draft.fallible = True
        return {field.name: f"{values}.get({field.name!r})" for field in fields}

    def _whole_body(self, field: ModelField) -> str:
        source, value = self._source, self._source.name("p")
        source.line(f"{value} = body")
        with source.block(f"if {value} is UNDEFINED:"):
            self._absent(field, value, ("body",))
        with source.block("else:"):
            self._validate(field, value, ("body",))
        return value

    def _absent(self, field: ModelField, value: str, place: tuple[str, ...]) -> None:
        source = self._source
        if field.field_info.is_required():
            source.line(f"errors.append(missing({place!r}))")
            self._draft.fallible = True
            return
        default = _constant(field) or f"deepcopy({source.value('FIELD', field)}.default)"
        source.line(f"{value} = {default}")
        if field.field_info.validate_default:
            self._validate(field, value, place)

    def _validate(self, field: ModelField, value: str, place: tuple[str, ...]) -> None:
        source = self._source
        validate = source.value("VALIDATE", field._type_adapter.validator.validate_python)  # noqa: SLF001 -- as FastAPI does
        with source.block("try:"):
            source.line(f"{value} = {validate}({value}, from_attributes=True)")
        with source.block("except ValidationError as refusal:"):
            source.line(f"errors += refused(refusal, {', '.join(map(repr, place))})")
        self._draft.fallible = True


def _constant(field: ModelField) -> str | None:
    """The default as a literal, if it is the same for every request and nobody can change it."""
    info = field.field_info
    plain = not info.is_required() and info.default_factory is None and type(info.default) in _IMMUTABLE
    return repr(info.default) if plain and repr(info.default) not in _NO_LITERALS else None


def _is_text(field: ModelField) -> bool:
    """Whether any text is valid, and stays as it is."""
    schema: Any = field._type_adapter.core_schema  # noqa: SLF001 -- as FastAPI has it
    while schema["type"] in ("default", "nullable"):
        schema = schema["schema"]
    return schema["type"] == "str" and schema.keys() <= {"type", "metadata"} and not field.config
