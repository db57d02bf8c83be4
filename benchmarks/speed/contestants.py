"""Who answers: FastAPI as it is and accelerated, what it is compared with, and what their servers have in common."""

from collections.abc import Sequence

from load.apps import HERE, App
from speed.cases import CORS, TABLE, Row

LIBRARIES = ("fastapi", "starlette", "uvicorn", "pydantic", "pydantic_core", "uvloop", "httptools", "python-multipart")


def _fastapi(name: str, **environment: str) -> App:
    return App(
        name, HERE / "apps", "fastapi_rows", environment={f"BENCH_{key}": environment[key] for key in environment}
    )


def _peer(name: str, *, own_server: bool = False) -> App:
    return App(name, HERE / "peers" / name, "app", peer=True, own_server=own_server)


FASTAPI = _fastapi("fastapi")
ACCELERATED = _fastapi("accelerated", TURBO="1")
LEYDEN = _fastapi("leyden", TURBO="1", AROUND="leyden")
FASTAPI_CORS = _fastapi("fastapi_cors", AROUND="cors")
ACCELERATED_CORS = _fastapi("accelerated_cors", TURBO="1", AROUND="cors")
RAW = App("raw_asgi", HERE / "apps", "raw_asgi")
PEERS = (
    _peer("litestar"),
    _peer("blacksheep"),
    _peer("robyn", own_server=True),
    _peer("django_bolt", own_server=True),
)
APPS = (FASTAPI, ACCELERATED, LEYDEN, RAW, *PEERS, FASTAPI_CORS, ACCELERATED_CORS)


def in_row(row: Row) -> Sequence[App]:
    if row in TABLE:
        return (FASTAPI, ACCELERATED, LEYDEN, RAW, *PEERS)
    return pair(row)


def pair(row: Row) -> tuple[App, App]:
    """FastAPI as it is, and accelerated."""
    return (FASTAPI_CORS, ACCELERATED_CORS) if row is CORS else (FASTAPI, ACCELERATED)
