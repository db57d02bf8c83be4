"""Any FastAPI application, unchanged, several times faster."""

from leyden.turbo.dispatch import TurboWarning, accelerate
from leyden.turbo.report import RouteReport, report

__all__ = ["RouteReport", "TurboWarning", "accelerate", "report"]
