import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from tube.channels.schemas import ChannelRead
from tube.videos.models import Visibility

PartName = Literal["videos", "newest", "tags", "money"]


class VideoNumbers(BaseModel):
    public: int = 0
    unlisted: int = 0
    private: int = 0


class NewVideo(BaseModel):
    id: uuid.UUID
    title: str
    visibility: Visibility
    created_at: datetime


class TagNumber(BaseModel):
    name: str
    videos: int


class Money(BaseModel):
    """In the smallest unit of the currency."""

    balance: int
    currency: str
    received: Annotated[int, Field(description="In the last 30 days.")]
    sent: Annotated[int, Field(description="In the last 30 days.")]


class MissingPart(BaseModel):
    part: PartName
    reason: Annotated[Literal["late", "failed"], Field(description="`late`: ask again; `failed`: the log says why.")]


class Dashboard(BaseModel):
    """A part that could not be had in time is null, and `missing` says why."""

    channel: ChannelRead
    videos: VideoNumbers | None
    newest: list[NewVideo] | None
    tags: list[TagNumber] | None
    money: Money | None
    missing: list[MissingPart]
