import uuid

from fastapi import APIRouter, Request, Response, status
from leyden.auth import CurrentUser, OptionalUser, User
from leyden.core import ClockDep, NotFoundError
from leyden.data import (
    BatchItem,
    CursorDep,
    CursorPage,
    DatabaseDep,
    Page,
    PageDep,
    ReaderDep,
    SessionDep,
    batch,
    batch_answer,
    paginate,
)
from sqlalchemy.ext.asyncio import AsyncSession

from tube.answers import BAD_CURSOR, NOT_FOUND, NOT_SIGNED_IN, TO_CHANGE
from tube.channels.errors import NotYoursError
from tube.channels.routes import own_channel
from tube.export import ROWS, Format, download
from tube.videos.lists import WantedVideos
from tube.videos.models import Video
from tube.videos.queries import seen_by, videos, videos_of
from tube.videos.schemas import VideoBatch, VideoCreate, VideoLine, VideoRead, VideoUpdate

router = APIRouter(prefix="/api/videos", tags=["videos"])


@router.get("", summary="Find videos", responses=NOT_SIGNED_IN)
async def list_videos(session: ReaderDep, page: PageDep, wanted: WantedVideos) -> Page[VideoRead]:
    """Public videos and your own in numbered pages, newest first unless `sort` says otherwise."""
    return await paginate(session, wanted, page, into=VideoRead)


@router.get("/feed", summary="Scroll through videos", responses=NOT_SIGNED_IN | BAD_CURSOR)
async def scroll_videos(session: ReaderDep, page: CursorDep, wanted: WantedVideos) -> CursorPage[VideoRead]:
    """The same list from cursor to cursor: no video twice and none left out, whatever is published meanwhile."""
    return await paginate(session, wanted, page, into=VideoRead)


@router.get("/export", summary="Export your videos", response_class=Response, responses=ROWS)
async def export_videos(database: DatabaseDep, user: CurrentUser, format: Format = Format.JSONL) -> Response:  # noqa: A002
    """All of them, of whatever visibility, oldest first and as of one moment."""
    return download(database, videos_of(user), format, name="videos", into=VideoLine)


@router.post("", summary="Create a video", status_code=status.HTTP_201_CREATED, responses=TO_CHANGE)
async def create_video(new: VideoCreate, session: SessionDep, user: CurrentUser) -> VideoRead:
    """On a channel of your own; its file is uploaded separately."""
    return await _create(session, new, user)


@router.post("/batch", summary="Create many videos", response_model_exclude_none=True, responses=NOT_SIGNED_IN)
async def create_videos(
    new: VideoBatch, session: SessionDep, user: CurrentUser, request: Request
) -> list[BatchItem[VideoRead]]:
    """Up to 100 at once, with an outcome each, in order: one that is refused keeps none of the others from being made."""
    outcomes = await batch(session, new.videos, lambda part, one: _create(part, one, user))
    return await batch_answer(request, outcomes, into=VideoRead, status=status.HTTP_201_CREATED)


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


async def _create(session: AsyncSession, new: VideoCreate, user: User) -> VideoRead:
    channel = await own_channel(new.channel, session, user)
    # labels=[]: a list of tags that was never touched would have to be loaded, which lazy="raise" refuses.
    video = Video(channel=channel, labels=[], **new.model_dump(exclude={"channel"}))
    session.add(video)
    await session.flush()
    return VideoRead.model_validate(video)


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
