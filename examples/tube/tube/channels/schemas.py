import uuid
from datetime import datetime
from typing import Annotated

from pydantic import MISSING, BaseModel, ConfigDict, StringConstraints

from tube.text import Description, Title

Handle = Annotated[
    str, StringConstraints(min_length=3, max_length=30, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", to_lower=True)
]


class ChannelCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    handle: Handle
    title: Title
    description: Description = ""


class ChannelUpdate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    handle: Handle | MISSING = MISSING
    title: Title | MISSING = MISSING
    description: Description | MISSING = MISSING


class ChannelRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    handle: str
    title: str
    description: str
    created_at: datetime
    updated_at: datetime
