"""The whole architecture on one screen."""

from leyden import auth, create_app, data, http

from tube import channels, dashboard, demo, pages, videos, wallet
from tube.settings import Settings

settings = Settings()
app = create_app(
    [
        http.battery(settings.http, development=settings.development),
        data.battery(settings.data),
        auth.battery(settings.auth),
        channels.battery(),
        videos.battery(),
        wallet.battery(),
        dashboard.battery(),
        pages.battery(),
        demo.battery(),
    ],
    title="Tube",
    summary="A small video community.",
)
