"""django-bolt on its own server, with structs of msgspec, without middleware and without logging.

This is the newest version that runs on Python 3.11. Its dependencies have none of their own, so the handler takes the
parameters and awaits the steps.
"""

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import django
from django.conf import settings
from django.core.management import call_command
from peers.shapes.structs import Order, Receipt, User, Videos, listing, receipt

settings.configure(
    ALLOWED_HOSTS=["*"],
    BOLT_API=["__main__:api"],
    INSTALLED_APPS=["django_bolt"],
    MIDDLEWARE=[],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a benchmark",  # noqa: S106 -- it signs nothing
    USE_TZ=True,
)
django.setup()

from django_bolt import BoltAPI  # noqa: E402 -- after the settings
from django_bolt.param_functions import Header, Query  # noqa: E402

USERS = json.loads(Path(os.environ["BENCH_USERS"]).read_text(encoding="utf-8"))

urlpatterns: list[Any] = []
api = BoltAPI(enable_logging=False)


@api.get("/")
async def small():  # noqa: ANN201 -- what is annotated is validated, and this row is not typed
    return {"message": "Hello, World!"}


@api.get("/channels/{channel_id}/videos")
async def chain(
    channel_id: int,
    x_client: Annotated[str, Header(alias="x-client")],
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> Videos:
    return await listing(channel_id, x_client, limit, offset)


@api.post("/orders")
async def order(new: Order) -> Receipt:
    return receipt(new)


@api.get("/users")
async def users() -> list[User]:
    return USERS


if __name__ == "__main__":
    call_command("runbolt", "--no-admin", "--host=127.0.0.1", f"--port={sys.argv[1]}")
