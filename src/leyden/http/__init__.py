"""The HTTP edge: problems, limits, security headers, health and documentation pages, graceful stop."""

from leyden.http.events import RequestFinished
from leyden.http.logs import AlreadyLogged
from leyden.http.redirects import safe_next
from leyden.http.request_ids import request_id
from leyden.http.schemas import Problem
from leyden.http.settings import HttpSettings
from leyden.http.stopping import Stopping, StoppingDep
from leyden.http.wiring import battery

__all__ = [
    "AlreadyLogged",
    "HttpSettings",
    "Problem",
    "RequestFinished",
    "Stopping",
    "StoppingDep",
    "battery",
    "request_id",
    "safe_next",
]
