"""What a list of videos may be asked for."""

from typing import Annotated

from fastapi import Depends, Query
from leyden.auth import OptionalUser
from leyden.data import Listing, listing
from sqlalchemy import Select

from tube.channels.schemas import Handle
from tube.text import ONE_LINE
from tube.videos.models import Video
from tube.videos.queries import listed_for, matching, videos
from tube.videos.schemas import Tag

VideoListing = Annotated[
    Listing,
    Depends(
        listing(
            filters={Video.created_at: ("gte", "lt"), Video.visibility: ("eq",)},
            sorts=(Video.created_at, Video.updated_at, Video.title),
            default="-created_at",
        )
    ),
]


async def _wanted(
    user: OptionalUser,
    wanted: VideoListing,
    q: Annotated[str, Query(max_length=100, pattern=ONE_LINE, description="Words in title, description or tags.")] = "",
    tag: Annotated[Tag | None, Query(description="Exactly this tag.")] = None,
    channel: Annotated[Handle | None, Query(description="The handle of a channel.")] = None,
) -> Select[Video]:
    query = videos().where(listed_for(user), matching(q, tag=tag, channel=channel))
    return wanted.apply(query).order_by(Video.id.desc())


WantedVideos = Annotated[Select[Video], Depends(_wanted)]
"""The videos that this caller asks for and may find, in the order asked for."""
