import uuid
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from leyden.core import NotFoundError
from leyden.data import PageParams, ReaderDep, paginate
from sqlalchemy import select
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from tube.channels.models import Channel
from tube.channels.schemas import ChannelRead
from tube.pages.pictures import thumbnail
from tube.pages.render import FOLDER, render
from tube.pages.search import Search, search_of
from tube.videos.models import Video
from tube.videos.queries import listed_for, matching, popular_tags, seen_by, videos
from tube.videos.schemas import VideoRead

ON_A_PAGE = 12
BESIDE_A_VIDEO = 6
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
router.mount("/static", StaticFiles(directory=FOLDER / "static"), name="static")

SearchDep = Annotated[Search, Depends(search_of)]
READ = ["GET", "HEAD"]


@router.api_route("/", methods=READ)
async def home(request: Request, session: ReaderDep, search: SearchDep) -> Response:
    query = videos().where(listed_for(None), matching(search.words, tag=search.tag or None))
    page = await paginate(session, query, PageParams(page=search.page, size=ON_A_PAGE), into=VideoRead)
    tags = await popular_tags.all(session, most=12)
    return render(request, "home.html", page=page, tags=tags, words=search.words, tag=search.tag)


@router.api_route("/videos/{video_id:uuid}", methods=READ)
async def video(video_id: uuid.UUID, request: Request, session: ReaderDep) -> Response:
    found = await session.scalar(videos().where(Video.id == video_id, seen_by(None)))
    if found is None:
        raise NotFoundError
    others = videos().where(Video.channel_id == found.channel_id, Video.id != video_id, listed_for(None))
    more = await session.scalars(others.limit(BESIDE_A_VIDEO))
    return render(request, "video.html", video=found, more=more.all())


@router.api_route("/@{handle}", methods=READ)
async def channel(handle: str, request: Request, session: ReaderDep, search: SearchDep) -> Response:
    found = await session.scalar(select(Channel).where(Channel.handle == handle.lower()))
    if found is None:
        raise NotFoundError
    query = videos().where(Video.channel_id == found.id, listed_for(None))
    page = await paginate(session, query, PageParams(page=search.page, size=ON_A_PAGE), into=VideoRead)
    return render(request, "channel.html", channel=ChannelRead.model_validate(found), page=page)


@router.api_route("/thumbnails/{video_id:uuid}.svg", methods=READ)
async def picture(video_id: uuid.UUID) -> Response:
    """Drawn from the id alone: no query, and nothing told about a private video."""
    return Response(thumbnail(str(video_id)), media_type="image/svg+xml", headers=FOR_EVER)
