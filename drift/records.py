"""What drift keeps in the control store: baselines by version, one row per judged window, where each monitor stands."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from store.control import Base, UtcDateTime


class DriftBaselineRecord(Base):
    """One version of a monitor's baseline; never changed after it is written. `body` is a `Baseline` as JSON."""

    __tablename__ = "drift_baselines"

    monitor: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    version: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    captured_at: Mapped[datetime] = mapped_column(UtcDateTime)
    body: Mapped[dict[str, Any]] = mapped_column(sa.JSON)


class DriftWindowRecord(Base):
    """One judged window; its key makes it impossible to judge a window twice against one baseline."""

    __tablename__ = "drift_windows"

    monitor: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    baseline_version: Mapped[int] = mapped_column(sa.Integer, primary_key=True)
    window_start: Mapped[datetime] = mapped_column(UtcDateTime, primary_key=True)
    window_end: Mapped[datetime] = mapped_column(UtcDateTime)
    rows: Mapped[int] = mapped_column(sa.BigInteger)
    state: Mapped[str] = mapped_column(sa.String(20))
    body: Mapped[dict[str, Any]] = mapped_column(sa.JSON)


class DriftMonitorRecord(Base):
    """Where a monitor stands: its baseline, how far it has judged, its course as JSON, its learning progress."""

    __tablename__ = "drift_monitors"

    monitor: Mapped[str] = mapped_column(sa.String(200), primary_key=True)
    question: Mapped[str] = mapped_column(sa.Text)
    baseline_version: Mapped[int | None] = mapped_column(sa.Integer)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    judged_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    rows_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    looked_at: Mapped[datetime] = mapped_column(UtcDateTime)
    course: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    progress: Mapped[dict[str, Any] | None] = mapped_column(sa.JSON(none_as_null=True))
    problem: Mapped[str | None] = mapped_column(sa.Text)
