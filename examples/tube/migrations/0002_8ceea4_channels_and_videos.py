"""Channels and videos."""

import sqlalchemy as sa
from alembic import op
from leyden.data import Timestamp
from sqlalchemy.dialects import mysql

revision, down_revision = "0002_8ceea4", "auth_0001"


def upgrade() -> None:
    op.create_table(
        "channels",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("owner_id", sa.Uuid(), nullable=False),
        sa.Column("handle", sa.String(length=30), nullable=False),
        sa.Column("title", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id"], ["users.id"], name=op.f("fk_channels_owner_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("handle", name=op.f("uq_channels_handle")),
    )
    with op.batch_alter_table("channels", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_channels_owner_id"), ["owner_id"], unique=False)

    op.create_table(
        "videos",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("title", sa.String(length=100), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column(
            "visibility",
            sa.Enum("public", "unlisted", "private", name="visibility", native_enum=False, length=64),
            nullable=False,
        ),
        sa.Column("created_at", Timestamp(), nullable=False),
        sa.Column("updated_at", Timestamp(), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channels.id"], name=op.f("fk_videos_channel_id_channels"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("videos", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_videos_channel_id"), ["channel_id"], unique=False)
        batch_op.create_index("ix_videos_visibility_created_at", ["visibility", "created_at"], unique=False)

    op.create_table(
        "video_tags",
        sa.Column("video_id", sa.Uuid(), nullable=False),
        sa.Column(
            "name",
            sa.String(length=30)
            .with_variant(mysql.VARCHAR(collation="utf8mb4_bin", length=30), "mariadb")
            .with_variant(mysql.VARCHAR(collation="utf8mb4_bin", length=30), "mysql"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["video_id"], ["videos.id"], name=op.f("fk_video_tags_video_id_videos"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("video_id", "name"),
    )
    with op.batch_alter_table("video_tags", schema=None) as batch_op:
        batch_op.create_index("ix_video_tags_name", ["name"], unique=False)


def downgrade() -> None:
    op.drop_table("video_tags")
    op.drop_table("videos")
    op.drop_table("channels")
