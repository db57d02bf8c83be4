"""The shape of every error answer."""

from typing import Any

from pydantic import BaseModel, Field


class ProblemField(BaseModel):
    """What is wrong with one field of the input."""

    field: str = Field(examples=["body.email"])
    code: str = Field(examples=["missing"])
    message: str


class Problem(BaseModel):
    """An error, as RFC 9457 has it, with a code for programs and a request id for whoever reads the log."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str = Field(examples=["not_found"])
    request_id: str | None = None
    errors: list[ProblemField] | None = None
    data: Any = Field(default=None, description="What the error brought along, if it was more than a sentence.")
