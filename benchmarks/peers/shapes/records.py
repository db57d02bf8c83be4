"""What goes out, in dataclasses, for frameworks that write these fastest."""

from dataclasses import dataclass


@dataclass
class Page:
    client: str
    limit: int
    offset: int


@dataclass
class Videos(Page):
    channel_id: int
    page: int


@dataclass
class User:
    id: int
    name: str
    email: str
    score: int
    active: bool


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
