import uuid
from typing import Annotated

from fastapi import APIRouter, Query, status
from leyden.auth import CurrentUser, OptionalUser, User
from leyden.core import ClockDep, NotFoundError
from leyden.data import Page, PageDep, ReaderDep, SessionDep, paginate
from sqlalchemy.ext.asyncio import AsyncSession

from tube.answers import NOT_FOUND, NOT_SIGNED_IN, TO_CHANGE
from tube.channels.errors import NotYoursError
from tube.channels.routes import own_channel
from tube.channels.schemas import Handle
from tube.text import ONE_LINE
from tube.videos.models import Video
from tube.videos.queries import listed_for, matching, seen_by, videos
from tube.videos.schemas import Tag, VideoCreate, VideoRead, VideoUpdate

router = APIRouter(prefix="/api/videos", tags=["videos"])


@router.get("", summary="Find videos", responses=NOT_SIGNED_IN)
async def list_videos(
    session: ReaderDep,
    user: OptionalUser,
    page: PageDep,
    q: Annotated[str, Query(max_length=100, pattern=ONE_LINE, description="Words in title, description or tags.")] = "",
    tag: Annotated[Tag | None, Query(description="Exactly this tag.")] = None,
    channel: Annotated[Handle | None, Query(description="The handle of a channel.")] = None,
) -> Page[VideoRead]:
    """Public videos and your own, newest first."""
    query = videos().where(listed_for(user), matching(q, tag=tag, channel=channel))
    return await paginate(session, query, page, into=VideoRead)


@router.post("", summary="Create a video", status_code=status.HTTP_201_CREATED, responses=TO_CHANGE)
async def create_video(new: VideoCreate, session: SessionDep, user: CurrentUser) -> VideoRead:
    """On a channel of your own; its file is uploaded separately."""
    channel = await own_channel(new.channel, session, user)
    # labels=[]: a list of tags that was never touched would have to be loaded, which lazy="raise" refuses.
    video = Video(channel=channel, labels=[], **new.model_dump(exclude={"channel"}))
    session.add(video)
    await session.flush()
    return VideoRead.model_validate(video)


@router.get("/{video_id}", summary="Read a video", responses=NOT_SIGNED_IN | NOT_FOUND)
async def read_video(video_id: uuid.UUID, session: ReaderDep, user: OptionalUser) -> VideoRead:
    return VideoRead.model_validate(await _video(video_id, session, user))


@router.patch("/{video_id}", summary="Change a video", responses=TO_CHANGE)
async def change_video(
    video_id: uuid.UUID, changes: VideoUpdate, session: SessionDep, user: CurrentUser, clock: ClockDep
) -> VideoRead:
    """Fields left out stay as they are; tags are replaced as a whole."""
    video = await _own_video(video_id, session, user)
    # By hand: leyden.data.apply knows columns and relationships, and tags are a view of a relationship.
    for name, value in changes.model_dump(exclude_unset=True).items():
        setattr(video, name, value)
    # Tags lie in a table of their own: changing only them would leave this row, and its time, as they were.
    video.updated_at = clock.now()
    await session.flush()
    return VideoRead.model_validate(video)


@router.delete("/{video_id}", summary="Delete a video", status_code=status.HTTP_204_NO_CONTENT, responses=TO_CHANGE)
async def delete_video(video_id: uuid.UUID, session: SessionDep, user: CurrentUser) -> None:
    await session.delete(await _own_video(video_id, session, user))


async def _video(video_id: uuid.UUID, session: AsyncSession, user: User | None) -> Video:
    """A video that may not be seen does not exist."""
    video = await session.scalar(videos().where(Video.id == video_id, seen_by(user)))
    if video is None:
        raise NotFoundError
    return video


async def _own_video(video_id: uuid.UUID, session: AsyncSession, user: User) -> Video:
    video = await _video(video_id, session, user)
    if video.channel.owner_id != user.id:
        raise NotYoursError
    return video
