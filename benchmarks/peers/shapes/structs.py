"""What comes in and goes out, in structs of msgspec."""

import msgspec


class Page(msgspec.Struct):
    client: str
    limit: int
    offset: int


class Videos(Page):
    channel_id: int
    page: int


class User(msgspec.Struct):
    id: int
    name: str
    email: str
    score: int
    active: bool


class Address(msgspec.Struct):
    street: str
    city: str


class Customer(msgspec.Struct):
    name: str
    email: str
    address: Address


class Line(msgspec.Struct):
    sku: str
    quantity: int
    price: float


class Order(msgspec.Struct):
    customer: Customer
    lines: list[Line]
    note: str | None = None


class Receipt(msgspec.Struct):
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


async def client(name: str) -> str:
    return name


async def page(name: str, limit: int, offset: int) -> Page:
    return Page(client=await client(name), limit=limit, offset=offset)


async def listing(channel_id: int, name: str, limit: int, offset: int) -> Videos:
    """The three steps as calls, where they can be no dependencies: these would take longer."""
    return videos(channel_id, await page(name, limit, offset))
