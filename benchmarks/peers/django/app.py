"""Django's async views and its async ORM, on its ASGI handler, with no middleware."""

import json
import os
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings

url = urlsplit(os.environ["BENCH_URL"])

# As its documentation has it for ASGI: no persistent connections, and the driver's own pool where it has one.
DATABASES = {
    "postgresql": {
        "ENGINE": "django.db.backends.postgresql",
        "HOST": url.hostname,
        "PORT": url.port,
        "USER": url.username,
        "PASSWORD": url.password,
        "NAME": url.path[1:],
        "OPTIONS": {"pool": True},
    },
    "sqlite": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": url.path[1:],
        # Its documentation's first advice against "database is locked".
        "OPTIONS": {"timeout": 20},
    },
}

settings.configure(
    ALLOWED_HOSTS=["*"],
    DATABASES={"default": DATABASES[url.scheme]},
    INSTALLED_APPS=[],
    MIDDLEWARE=[],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of a benchmark",  # noqa: S106 -- it signs nothing
    USE_TZ=True,
)
django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402 -- after the settings
from django.db import models  # noqa: E402
from django.http import Http404, HttpRequest, JsonResponse  # noqa: E402
from django.urls import path  # noqa: E402


class User(models.Model):  # noqa: DJ008 -- nobody prints it
    id = models.AutoField(primary_key=True)
    name = models.CharField(max_length=100)
    email = models.CharField(max_length=255, unique=True)
    score = models.IntegerField()
    active = models.BooleanField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "bench"
        db_table = "users"

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "email": self.email,
            "score": self.score,
            "active": self.active,
            "id": self.id,
            "created_at": self.created_at,
        }


async def one(_request: HttpRequest, user_id: int) -> JsonResponse:
    try:
        user = await User.objects.aget(id=user_id)
    except User.DoesNotExist:
        raise Http404 from None
    return JsonResponse(user.as_json())


async def many(request: HttpRequest) -> JsonResponse:
    if request.method == "POST":
        user = await User.objects.acreate(**json.loads(request.body))
        return JsonResponse(user.as_json(), status=201)
    after = int(request.GET.get("after", 0))
    found = User.objects.filter(id__gt=after).order_by("id")[:20]
    return JsonResponse([user.as_json() async for user in found], safe=False)


urlpatterns = [path("users/<int:user_id>", one), path("users", many)]

app = get_asgi_application()
