"""Alembic migrations of the telemetry store (ClickHouse dialect) and the control store (SQLite, PostgreSQL)."""
