"""What comes in and goes out, in pydantic."""

from pydantic import BaseModel


class Page(BaseModel):
    client: str
    limit: int
    offset: int


class Videos(Page):
    channel_id: int
    page: int


class User(BaseModel):
    id: int
    name: str
    email: str
    score: int
    active: bool


class Address(BaseModel):
    street: str
    city: str


class Customer(BaseModel):
    name: str
    email: str
    address: Address


class Line(BaseModel):
    sku: str
    quantity: int
    price: float


class Order(BaseModel):
    customer: Customer
    lines: list[Line]
    note: str | None = None


class Receipt(BaseModel):
    customer: Customer
    lines: list[Line]
    items: int
    total: float


def receipt(new: Order) -> Receipt:
    return Receipt(
        customer=new.customer,
        lines=new.lines,
        items=sum(line.quantity for line in new.lines),
        total=sum(line.quantity * line.price for line in new.lines),
    )


def videos(channel_id: int, of: Page) -> Videos:
    return Videos(
        client=of.client, limit=of.limit, offset=of.offset, channel_id=channel_id, page=of.offset // of.limit + 1
    )
