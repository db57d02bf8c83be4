from leyden import Battery

from tube.channels.models import Channel
from tube.channels.routes import router


def battery() -> Battery:
    return Battery(name="channels", requires=("data", "auth"), routers=(router,), models=(Channel,))
