from leyden import Battery

from tube.videos.models import Video, VideoTag
from tube.videos.routes import router


def battery() -> Battery:
    return Battery(name="videos", requires=("channels",), routers=(router,), models=(Video, VideoTag))
