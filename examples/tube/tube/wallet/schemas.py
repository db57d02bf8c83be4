import uuid
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from tube.wallet.models import MOST

# Strict: 1.0, "1" and true are no amounts, and neither are NaN and 1e400, which a JSON parser makes floats of.
Amount = Annotated[
    int, Field(strict=True, ge=1, le=MOST, description="In the smallest unit of the currency: 250 is EUR 2.50.")
]


class WalletRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    balance: Annotated[int, Field(description="In the smallest unit of the currency.")]
    currency: str


class TransferCreate(BaseModel):
    model_config = ConfigDict(extra="forbid")

    to: Annotated[uuid.UUID, Field(description="The wallet that gets it; its owner knows its id.")]
    amount: Amount
    reference: Annotated[
        uuid.UUID, Field(description="Your name for this transfer: with one reference it happens once.")
    ]


class TransferRead(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: uuid.UUID
    reference: uuid.UUID
    sender: Annotated[
        uuid.UUID | None,
        Field(validation_alias="sender_id", serialization_alias="from", description="Null for money from outside."),
    ]
    recipient: Annotated[uuid.UUID, Field(validation_alias="recipient_id", serialization_alias="to")]
    amount: int
    currency: str
    created_at: datetime
