"""Both stores come to this version's schema by themselves, and are never opened by an older version."""

import pytest
import sqlalchemy as sa

from store.control import ControlStore
from store.errors import NewerDataError
from store.migrate import current_revision, head_revision, upgrade
from store.telemetry import TelemetryStore


def test_an_empty_telemetry_store_gets_every_table(telemetry: TelemetryStore) -> None:
    names = {row["name"] for row in telemetry.rows("SELECT name FROM system.tables WHERE database = currentDatabase()")}
    assert {"spans", "observations", "usage_1m", "folded_minutes"} <= names


@pytest.mark.parametrize("kind", ["telemetry", "control"])
def test_migrating_twice_changes_nothing(kind: str, telemetry: TelemetryStore, control: ControlStore) -> None:
    engine = {"telemetry": telemetry, "control": control}[kind].engine
    upgrade(engine, kind)
    with engine.connect() as connection:
        assert current_revision(connection, kind) == head_revision(kind)


@pytest.mark.parametrize("kind", ["telemetry", "control"])
def test_a_newer_store_is_refused_with_what_to_do(kind: str, telemetry: TelemetryStore, control: ControlStore) -> None:
    engine = {"telemetry": telemetry, "control": control}[kind].engine
    with engine.begin() as connection:
        if kind == "telemetry":
            connection.execute(sa.text(f"ALTER TABLE andon_{kind}_version DELETE WHERE 1 SETTINGS mutations_sync = 2"))
        else:
            connection.execute(sa.text(f"DELETE FROM andon_{kind}_version"))
        connection.execute(sa.text(f"INSERT INTO andon_{kind}_version (version_num) VALUES ('9999')"))
    with pytest.raises(NewerDataError, match=r"revision 9999.*written by a newer version.*--data-dir"):
        upgrade(engine, kind)
