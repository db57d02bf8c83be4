"""Why an app does not start without its database, in a sentence that says what to do."""

from leyden.data.backend import Backend
from leyden.data.settings import DataSettings
from leyden.data.urls import parse, shown

_SILENT = "The database {address} does not answer: {reason}. Start it, or correct the database URL in the settings."


def refusal(error: BaseException, backend: Backend, settings: DataSettings) -> str:
    """From what the first connection raised: a driver's error behind ours or SQLAlchemy's, or our own deadline."""
    cause = _drivers(error)
    url = parse(settings)
    return (backend.refusal(cause) or _SILENT).format(
        address=shown(url),
        server=f"{url.host or 'localhost'}{f':{url.port}' if url.port else ''}",
        database=url.database,
        user=url.username,
        reason=_reason(cause, settings),
    )


def _drivers(error: BaseException) -> BaseException:
    if isinstance(error, TimeoutError):
        return error
    return getattr(error, "orig", None) or error.__cause__ or error


def _reason(error: BaseException, settings: DataSettings) -> str:
    """The driver's own words; some of its errors have none."""
    if isinstance(error, TimeoutError):
        return f"nothing came back within {settings.connect_timeout:g} s"
    match error.args:
        case (int(), str(said), *_):  # MySQL's drivers
            return said.rstrip(".")
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__
