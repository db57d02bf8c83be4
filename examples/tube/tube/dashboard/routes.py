from fastapi import APIRouter
from leyden.auth import CurrentUser
from leyden.core import ClockDep
from leyden.data import DatabaseDep, ReaderDep

from tube.answers import TO_CHANGE
from tube.channels.routes import HandlePath, own_channel
from tube.channels.schemas import ChannelRead
from tube.dashboard.parts import Subject, parts_of
from tube.dashboard.schemas import Dashboard

router = APIRouter(prefix="/api/channels", tags=["channels"])


@router.get("/{handle}/dashboard", summary="See how your channel does", responses=TO_CHANGE)
async def read_dashboard(
    handle: HandlePath, session: ReaderDep, database: DatabaseDep, user: CurrentUser, clock: ClockDep
) -> Dashboard:
    """For its owner. It answers in about a second, whatever a part of it takes: one that is late is null."""
    channel = await own_channel(handle, session, user)
    found, missing = await parts_of(database, Subject(channel.id, user.id, clock.now()))
    return Dashboard(channel=ChannelRead.model_validate(channel), **found, missing=missing)
