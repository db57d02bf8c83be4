"""What those share who write one route's function."""

from collections.abc import Mapping
from typing import Any

from leyden.turbo.plan import Node, RoutePlan
from leyden.turbo.source import Source


class Draft:
    """`given` is whether there is a request from the start; `fallible` whether any line so far may have found an error."""

    def __init__(self, plan: RoutePlan, names: Mapping[str, Any]) -> None:
        self.plan = plan
        self.source = Source(names)
        self.given = plan.stacked or plan.needs_request
        self.fallible = False
        self.overrides = self.source.value("OVERRIDES", plan.overrides)
        self._dependants = {id(node): self.source.value("DEPENDANT", node.dependant) for node in plan.nodes}
        self._calls = {id(node): self.source.value("CALL", node.dependant.call) for node in plan.nodes}

    def call_of(self, node: Node) -> str:
        return self._calls[id(node)]

    def dependant_of(self, node: Node) -> str:
        return self._dependants[id(node)]

    @property
    def leaves(self) -> bool:
        """Whether there may be a `leaving`: somebody sees FastAPI's stacks, or an override comes late and enters one."""
        return not self.plan.stacked and (self.plan.tells_connection or self.plan.may_be_late)

    @property
    def root(self) -> str:
        return self.dependant_of(self.plan.root)

    @property
    def request(self) -> str:
        """The request with what has been read of it, where there may be none yet."""
        read = ", content, parsed" if self.plan.body else ""
        return "request" if self.given else f"completed(request, scope, receive, send{read})"
