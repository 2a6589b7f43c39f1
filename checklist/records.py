"""What the checklist keeps in the control store: the latest results, every change of state, the checks' memory."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from store.control import Base, UtcDateTime


class ResultRecord(Base):
    """The latest result of a check; `since` is when its state became what it is."""

    __tablename__ = "checklist_results"

    name: Mapped[str] = mapped_column(sa.String, primary_key=True)
    title: Mapped[str] = mapped_column(sa.String)
    status: Mapped[str] = mapped_column(sa.String)
    summary: Mapped[str] = mapped_column(sa.String)
    evidence: Mapped[list[dict[str, Any]]] = mapped_column(sa.JSON)
    remedy: Mapped[str] = mapped_column(sa.String)
    observed_at: Mapped[datetime] = mapped_column(UtcDateTime)
    since: Mapped[datetime] = mapped_column(UtcDateTime)


class ChangeRecord(Base):
    """A check's state changed; `previous` is None for the first look."""

    __tablename__ = "checklist_changes"
    __table_args__ = (sa.Index("ix_checklist_changes_name_changed_at", "name", "changed_at"),)

    id: Mapped[int] = mapped_column(sa.Integer, primary_key=True, autoincrement=True)
    name: Mapped[str] = mapped_column(sa.String)
    previous: Mapped[str | None] = mapped_column(sa.String)
    status: Mapped[str] = mapped_column(sa.String)
    summary: Mapped[str] = mapped_column(sa.String)
    changed_at: Mapped[datetime] = mapped_column(UtcDateTime)


class MemoryRecord(Base):
    """What a check keeps from poll to poll, for example which slots it has seen."""

    __tablename__ = "checklist_memory"

    check_name: Mapped[str] = mapped_column(sa.String, primary_key=True)
    key: Mapped[str] = mapped_column(sa.String, primary_key=True)
    value: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
