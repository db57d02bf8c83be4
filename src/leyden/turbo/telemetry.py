"""Whether FastAPI is to tell OpenTelemetry of a request, which it asks for each one: 5 us, where nearly nobody listens."""

import os
from collections.abc import Callable

from leyden.turbo import internals
from leyden.turbo.internals import FastAPI, NativeTelemetry, logs_module, metrics_module, telemetry_replaced, trace

_TRACER, _METER, _LOGGER = (os.environ.encodekey(name) for name in internals.PROVIDER_VARIABLES)


def ask_cheaply(app: FastAPI) -> None:
    """Have the app answer at once where nothing is set up; anything else is FastAPI's to say."""
    telemetry = app._native_telemetry  # noqa: SLF001 -- there is no public name
    if type(telemetry) is NativeTelemetry and all(telemetry.config[name] is None for name in internals.PROVIDERS):  # type: ignore[literal-required]  # names of its own
        telemetry.enabled = _quiet(telemetry.enabled)  # type: ignore[method-assign]  # of this one alone


def _quiet(enabled: Callable[[], bool]) -> Callable[[], bool]:
    stock = NativeTelemetry.enabled

    def ask() -> bool:
        chosen = getattr(os.environ, "_data", None)  # to look there properly is what takes the time
        if (
            chosen is not None
            and trace._TRACER_PROVIDER is None  # noqa: SLF001 -- as OpenTelemetry itself asks
            and metrics_module._METER_PROVIDER is None  # noqa: SLF001 -- the same
            and logs_module._LOGGER_PROVIDER is None  # noqa: SLF001 -- the same
            and _TRACER not in chosen
            and _METER not in chosen
            and _LOGGER not in chosen
            and NativeTelemetry.enabled is stock
            and not telemetry_replaced()
        ):
            return False
        return enabled()

    return ask
