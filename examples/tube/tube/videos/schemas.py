import uuid
from datetime import datetime
from typing import Annotated

from pydantic import MISSING, AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from tube.channels.schemas import Handle
from tube.text import ONE_LINE, Description, Title, lowered
from tube.videos.models import Visibility

MOST_AT_ONCE = 100


def _sorted_once(tags: list[str]) -> list[str]:
    return sorted(set(tags))


Tag = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=30, pattern=ONE_LINE),
    BeforeValidator(lowered),
]
Tags = Annotated[list[Tag], Field(max_length=10), AfterValidator(_sorted_once)]


class VideoCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    channel: Annotated[Handle, Field(description="The handle of one of your channels.")]
    title: Title
    description: Description = ""
    tags: Tags = Field(default_factory=list)
    visibility: Visibility = Visibility.PUBLIC


class VideoBatch(BaseModel):
    model_config = ConfigDict(extra="forbid")

    videos: Annotated[list[VideoCreate], Field(min_length=1, max_length=MOST_AT_ONCE)]


class VideoUpdate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: Title | MISSING = MISSING
    description: Description | MISSING = MISSING
    tags: Tags | MISSING = MISSING
    visibility: Visibility | MISSING = MISSING


class ChannelOfVideo(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    handle: str
    title: str


class VideoRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    channel: ChannelOfVideo
    title: str
    description: str
    tags: list[str]
    visibility: Visibility
    created_at: datetime
    updated_at: datetime


def _split(tags: object) -> object:
    return sorted(tags.splitlines()) if isinstance(tags, str) else tags


class VideoLine(BaseModel):
    """A video of one's own in an export."""

    id: uuid.UUID
    channel: str
    title: str
    description: str
    tags: Annotated[list[str], BeforeValidator(_split)]
    visibility: Visibility
    created_at: datetime
    updated_at: datetime
