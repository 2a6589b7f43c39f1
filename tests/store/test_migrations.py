"""Both stores come to this version's schema by themselves, and are never opened by an older version."""

from pathlib import Path

import pytest
import sqlalchemy as sa

from migrations.telemetry import ddl
from store.control import ControlStore
from store.errors import NewerDataError
from store.migrate import current_revision, head_revision, upgrade
from store.telemetry import TelemetryStore
from tests.migrated import run_all, statements_of


def test_an_empty_telemetry_store_gets_every_table(empty_telemetry: TelemetryStore) -> None:
    upgrade(empty_telemetry.engine, "telemetry")
    tables = empty_telemetry.rows("SELECT name FROM system.tables WHERE database = currentDatabase()")
    names = {row["name"] for row in tables}
    assert {"spans", "observations", "usage_1m", "folded_minutes", "metric_points", "logs"} <= names
    assert {"engine_1m", "folded_engine_minutes", "metric_series", "metrics"} <= names


def test_the_telemetry_stores_of_all_tests_are_what_the_migrations_make(empty_telemetry: TelemetryStore) -> None:
    upgrade(empty_telemetry.engine, "telemetry")
    statements = statements_of(empty_telemetry)
    assert len(statements) > 9
    for table in empty_telemetry.rows("SELECT name FROM system.tables WHERE database = currentDatabase()"):
        empty_telemetry.execute(f"DROP TABLE {table['name']} SYNC")
    run_all(empty_telemetry, statements)
    assert statements_of(empty_telemetry) == statements
    with empty_telemetry.engine.connect() as connection:
        assert current_revision(connection, "telemetry") == head_revision("telemetry")


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


def test_an_older_store_is_brought_up_to_date_and_keeps_what_it_holds(tmp_path: Path) -> None:
    store = ControlStore(f"sqlite:///{tmp_path / 'control.sqlite'}")
    upgrade(store.engine, "control", to="0002")
    with store.engine.begin() as connection:
        assert current_revision(connection, "control") == "0002"
        row = "'kept', 'q', '2026-11-01 12:00:00', '2026-11-01 12:00:00'"
        connection.execute(sa.text(f"INSERT INTO drift_monitors (monitor, question, since, looked_at) VALUES ({row})"))
    upgrade(store.engine, "control")
    with store.engine.connect() as connection:
        assert current_revision(connection, "control") == head_revision("control")
        assert connection.execute(sa.text("SELECT monitor FROM drift_monitors")).scalars().all() == ["kept"]
    store.close()


def test_an_older_telemetry_store_gets_what_is_new_and_keeps_what_it_holds(empty_telemetry: TelemetryStore) -> None:
    upgrade(empty_telemetry.engine, "telemetry", to="0001")
    empty_telemetry.execute("INSERT INTO observations (time, signal) VALUES (now(), 'kept')")
    upgrade(empty_telemetry.engine, "telemetry")
    assert empty_telemetry.rows("SELECT signal FROM observations") == [{"signal": "kept"}]
    assert empty_telemetry.rows("SELECT (SELECT count() FROM metric_points) + (SELECT count() FROM logs) AS n") == [
        {"n": 0}
    ]


@pytest.mark.parametrize("done", [1, 5, 12, 15, 18])
def test_a_migration_that_was_killed_between_two_statements_begins_again(
    empty_telemetry: TelemetryStore, monkeypatch: pytest.MonkeyPatch, done: int
) -> None:
    upgrade(empty_telemetry.engine, "telemetry", to="0006")
    empty_telemetry.execute(
        "INSERT INTO metric_points (time, metric, series, service, attributes) "
        "VALUES (now(), 'kept', 7, 'shop', map('a', 'b'))"
    )
    execute, statements = ddl.op.execute, iter(range(done))

    def killed(statement: str) -> None:
        if next(statements, None) is None:
            raise RuntimeError("the process ends here")
        execute(statement)

    with monkeypatch.context() as patched:
        patched.setattr(ddl.op, "execute", killed)
        with pytest.raises(RuntimeError):
            upgrade(empty_telemetry.engine, "telemetry")
    upgrade(empty_telemetry.engine, "telemetry")
    assert empty_telemetry.rows("SELECT metric, service, attributes FROM metrics") == [
        {"metric": "kept", "service": "shop", "attributes": {"a": "b"}}
    ]


def test_observations_stored_before_weights_stand_for_themselves(empty_telemetry: TelemetryStore) -> None:
    upgrade(empty_telemetry.engine, "telemetry", to="0001")
    values = "'2026-11-01 12:00:00', 'score', map('country', 'SE')"
    empty_telemetry.execute(f"INSERT INTO observations (time, signal, segment, number) VALUES ({values}, 0.5)")
    upgrade(empty_telemetry.engine, "telemetry")
    named = "(time, signal, segment, number, weight)"
    empty_telemetry.execute(f"INSERT INTO observations {named} VALUES ({values}, 0.6, 3)")
    found = empty_telemetry.rows("SELECT number, weight, segment['country'] AS se FROM observations ORDER BY number")
    assert [tuple(row.values()) for row in found] == [(0.5, 1.0, "SE"), (0.6, 3.0, "SE")]


def test_points_stored_before_series_stood_apart_keep_what_they_say(empty_telemetry: TelemetryStore) -> None:
    upgrade(empty_telemetry.engine, "telemetry", to="0006")
    named = "time, metric, unit, kind, temporality, monotonic, series, int_value, service, attributes, resource"
    said = "'calls', '1', 'sum', 'cumulative', true, 7, {}, 'gateway', map('host', 'a'), map('region', 'eu')"
    for time, value in (("2026-11-01 12:00:00", 1), ("2026-11-01 12:01:00", 2), ("2026-11-02 00:00:00", 3)):
        empty_telemetry.execute(f"INSERT INTO metric_points ({named}) VALUES ('{time}', {said.format(value)})")
    upgrade(empty_telemetry.engine, "telemetry")
    found = empty_telemetry.rows(f"SELECT {named} FROM metrics ORDER BY time")
    assert [row["int_value"] for row in found] == [1, 2, 3]
    for row in found:
        assert (row["metric"], row["unit"], row["kind"], row["temporality"]) == ("calls", "1", "sum", "cumulative")
        assert (row["monotonic"], row["series"], row["service"]) == (True, 7, "gateway")
        assert (row["attributes"], row["resource"]) == ({"host": "a"}, {"region": "eu"})
    days = empty_telemetry.rows("SELECT toString(toDate(day)) AS day FROM metric_series ORDER BY day")
    assert [row["day"] for row in days] == ["2026-11-01", "2026-11-02"]


def test_a_migration_that_fails_halfway_leaves_the_store_as_it_was(tmp_path: Path) -> None:
    store = ControlStore(f"sqlite:///{tmp_path / 'control.sqlite'}")
    upgrade(store.engine, "control", to="0003")
    with store.engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE outbox (in_the_way INTEGER)"))
        before = set(sa.inspect(connection).get_table_names())
    with pytest.raises(sa.exc.OperationalError, match="already exists"):
        upgrade(store.engine, "control")
    with store.engine.connect() as connection:
        assert set(sa.inspect(connection).get_table_names()) == before
        assert current_revision(connection, "control") == "0003"
    store.close()
