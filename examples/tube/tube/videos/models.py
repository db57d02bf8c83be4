import uuid
from enum import StrEnum

from leyden.data import Base, Model
from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.dialects.mysql import VARCHAR
from sqlalchemy.ext.associationproxy import AssociationProxy, association_proxy
from sqlalchemy.orm import Mapped, mapped_column, relationship

from tube.channels.models import Channel


class Visibility(StrEnum):
    PUBLIC = "public"
    """Listed for everybody."""
    UNLISTED = "unlisted"
    """Seen by whoever has the address, listed for the owner only."""
    PRIVATE = "private"
    """Seen by the owner only."""


class VideoTag(Base):
    """One tag of one video: a table of its own, since an index finds `name = ?` on every database."""

    __tablename__ = "video_tags"
    __table_args__ = (Index("ix_video_tags_name", "name"),)

    video_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("videos.id", ondelete="CASCADE"), primary_key=True)
    # MariaDB's default collation takes many different characters, all emoji among them, for the same.
    name: Mapped[str] = mapped_column(
        String(30).with_variant(VARCHAR(30, collation="utf8mb4_bin"), "mysql", "mariadb"), primary_key=True
    )


class Video(Model):
    __tablename__ = "videos"
    __table_args__ = (Index("ix_videos_visibility_created_at", "visibility", "created_at"),)

    channel_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("channels.id", ondelete="CASCADE"), index=True)
    title: Mapped[str] = mapped_column(String(100))
    description: Mapped[str] = mapped_column(Text, default="")
    visibility: Mapped[Visibility] = mapped_column(default=Visibility.PUBLIC)

    # lazy="raise": a query that forgets to load these fails in the first test instead of asking once a row.
    channel: Mapped[Channel] = relationship(lazy="raise")
    labels: Mapped[list[VideoTag]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, lazy="raise", order_by=VideoTag.name
    )
    tags: AssociationProxy[list[str]] = association_proxy("labels", "name", creator=lambda name: VideoTag(name=name))
