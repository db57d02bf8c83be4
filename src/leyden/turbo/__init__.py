"""Any FastAPI application, unchanged, several times faster."""

from leyden.turbo.report import RouteReport, report
from leyden.turbo.switch import TurboWarning, accelerate

__all__ = ["RouteReport", "TurboWarning", "accelerate", "report"]
