"""The lines that solve dependencies in FastAPI's order: each time or once, in a thread or here, overridden late or not."""

from collections.abc import Mapping

from leyden.turbo import internals
from leyden.turbo.draft import Draft
from leyden.turbo.plan import Kind, Node
from leyden.turbo.reading import Reader


class Solver:
    """Writes into the draft until every value of the endpoint is there, or its errors are raised."""

    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._source = draft.source
        self._plan = draft.plan
        self._reader = Reader(draft)
        self._results = {id(node): self._source.name("d") for node in self._plan.nodes}
        self._caches = {node.key: self._source.name("cache") for node in self._plan.nodes if node.repeated}
        self._called: list[Node] = []

    def solve(self) -> dict[str, str]:
        """The variables that hold the values, by the names of the endpoint's parameters."""
        line = self._source.line
        self._reader.prepare()
        line("errors = []")
        line("background = None")
        line(f"told = {'sub_response()' if self._plan.tells_response else 'None'}")
        for cache in self._caches.values():
            line(f"{cache} = UNSET")
        values = self._values_of(self._plan.root)
        if self._draft.fallible or self._plan.may_be_late:
            body = "None if body is UNDEFINED else body" if self._plan.body else "None"
            with self._source.block("if errors:"):
                line(f"raise invalid(errors, {body}, {self._draft.root}, scope)")
        return values

    def _values_of(self, node: Node) -> dict[str, str]:
        """As FastAPI does: first what it depends on, then what it reads, then what FastAPI gives it."""
        found: dict[str, str] = {}
        for child in node.children:
            self._solve_child(child)
            if child.name is not None:
                found[child.name] = self._results[id(child)]
        return found | self._reader.read(node) | self._given_by_fastapi(node)

    def _solve_child(self, node: Node) -> None:
        if not self._plan.may_be_late or not (self._called or self._plan.body):
            self._solve_now(node)
            return
        line, block = self._source.line, self._source.block
        with block(f"if late is not None or {self._draft.overrides}.dependency_overrides:"):
            with block("if late is None:"):
                self._begin_late()
            self._draft.fallible = True
            dependant = self._draft.dependant_of(node)
            line(f"{self._results[id(node)]}, wrong = await late.solve({dependant}, background, told)")
            line("background, told = late.background, late.response")
            line("errors += wrong")
        with block("else:"):
            self._solve_now(node)

    def _begin_late(self) -> None:
        line = self._source.line
        if not self._draft.given:
            line(f"request = {self._draft.request}")
        if not (self._plan.stacked or self._plan.tells_connection):
            line("leaving = Leaving(request)")
        solved = ", ".join(f"({self._source.value('KEY', node.key)}, {self._kept(node)})" for node in self._called)
        body = "body" if self._plan.body else "UNDEFINED"
        line(f"late = Late(request, {body}, {self._draft.overrides}, {self._plan.embed}, [{solved}])")

    def _kept(self, node: Node) -> str:
        return self._caches.get(node.key) or self._results[id(node)]

    def _solve_now(self, node: Node) -> None:
        line, block = self._source.line, self._source.block
        mark = ""
        if self._plan.may_be_late:
            line(f"{self._results[id(node)]} = UNSET")
        if before := self._draft.fallible:
            mark = self._source.name("before")
            line(f"{mark} = len(errors)")
        values = self._values_of(node)
        if self._draft.fallible:
            with block(f"if len(errors) == {mark}:" if before else "if not errors:"):
                self._call(node, values)
        else:
            self._call(node, values)

    def _call(self, node: Node, values: Mapping[str, str]) -> None:
        line, block = self._source.line, self._source.block
        result, cache = self._results[id(node)], self._caches.get(node.key)
        if cache is None:
            line(f"{result} = {self._called_with(node, values)}")
        elif node.dependant.use_cache:
            with block(f"if {cache} is UNSET:"):
                line(f"{cache} = {self._called_with(node, values)}")
            line(f"{result} = {cache}")
        else:
            line(f"{result} = {self._called_with(node, values)}")
            with block(f"if {cache} is UNSET:"):
                line(f"{cache} = {result}")
        if self._plan.may_be_late:
            with block("if late is not None:"):
                line(f"late.cache.setdefault({self._source.value('KEY', node.key)}, {result})")
        self._called.append(node)

    def _called_with(self, node: Node, values: Mapping[str, str]) -> str:
        call, given = self._draft.call_of(node), ", ".join(f"{name}={value}" for name, value in values.items())
        match node.kind:
            case Kind.AWAITED:
                return f"await {call}({given})"
            case Kind.THREAD:
                return f"await run_in_threadpool({', '.join(filter(None, (call, given)))})"
            case Kind.GENERATOR:
                stack = "function" if node.dependant.scope == "function" else "inner"
                return (
                    f"await solve_generator(dependant={self._draft.dependant_of(node)}, sub_values=dict({given}), "
                    f'stack=scope["fastapi_{stack}_astack"], request=request)'
                )

    def _given_by_fastapi(self, node: Node) -> dict[str, str]:
        own, found = node.dependant, {}
        for name in (own.http_connection_param_name, own.request_param_name):
            if name:
                found[name] = "request"
        if own.background_tasks_param_name:
            with self._source.block("if background is None:"):
                self._source.line("background = BackgroundTasks()")
            found[own.background_tasks_param_name] = "background"
        if own.response_param_name:
            found[own.response_param_name] = "told"
        if own.security_scopes_param_name:
            scopes = internals.oauth_scopes(dependant=own)
            found[own.security_scopes_param_name] = f"SecurityScopes(scopes=list({scopes!r}))"
        return found
