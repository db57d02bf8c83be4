from typing import Annotated

from fastapi import APIRouter, Path, status
from leyden.auth import CurrentUser, User
from leyden.core import NotFoundError
from leyden.data import Page, PageDep, ReaderDep, SessionDep, apply, paginate
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from tube.answers import NOT_FOUND, NOT_SIGNED_IN, TAKEN, TO_CHANGE
from tube.channels.errors import NotYoursError
from tube.channels.models import Channel
from tube.channels.schemas import ChannelCreate, ChannelRead, ChannelUpdate, Handle

router = APIRouter(prefix="/api/channels", tags=["channels"])

HandlePath = Annotated[Handle, Path(description="The channel's handle, without the @.")]


@router.get("", summary="List channels")
async def list_channels(session: ReaderDep, page: PageDep) -> Page[ChannelRead]:
    """Every channel, newest first."""
    query = select(Channel).order_by(Channel.created_at.desc(), Channel.id.desc())
    return await paginate(session, query, page, into=ChannelRead)


@router.post("", summary="Create a channel", status_code=status.HTTP_201_CREATED, responses=NOT_SIGNED_IN | TAKEN)
async def create_channel(new: ChannelCreate, session: SessionDep, user: CurrentUser) -> ChannelRead:
    """Answers 409, naming the field, when the handle is taken."""
    channel = Channel(owner_id=user.id, **new.model_dump())
    session.add(channel)
    await session.flush()
    return ChannelRead.model_validate(channel)


@router.get("/{handle}", summary="Read a channel", responses=NOT_FOUND)
async def read_channel(handle: HandlePath, session: ReaderDep) -> ChannelRead:
    return ChannelRead.model_validate(await channel_called(handle, session))


@router.patch("/{handle}", summary="Change a channel", responses=TO_CHANGE | TAKEN)
async def change_channel(
    handle: HandlePath, changes: ChannelUpdate, session: SessionDep, user: CurrentUser
) -> ChannelRead:
    """Fields left out stay as they are."""
    channel = await own_channel(handle, session, user)
    apply(changes, to=channel)
    await session.flush()
    return ChannelRead.model_validate(channel)


@router.delete("/{handle}", summary="Delete a channel", status_code=status.HTTP_204_NO_CONTENT, responses=TO_CHANGE)
async def delete_channel(handle: HandlePath, session: SessionDep, user: CurrentUser) -> None:
    """Its videos go with it."""
    await session.delete(await own_channel(handle, session, user))


async def channel_called(handle: str, session: AsyncSession) -> Channel:
    channel = await session.scalar(select(Channel).where(Channel.handle == handle))
    if channel is None:
        raise NotFoundError
    return channel


async def own_channel(handle: str, session: AsyncSession, user: User) -> Channel:
    """Everybody may see a channel, so a stranger gets 403 and not 404."""
    channel = await channel_called(handle, session)
    if channel.owner_id != user.id:
        raise NotYoursError
    return channel
