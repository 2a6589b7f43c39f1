"""The one typed settings object: read from `andon.toml`, `ANDON_*` variables and command line, in rising precedence."""

from settings.load import load_settings
from settings.model import (
    AlertRule,
    AlertSettings,
    CdcSource,
    ChecklistSettings,
    CollectorSettings,
    DriftMonitor,
    DriftSettings,
    ObservabilitySettings,
    Pool,
    ProjectRetention,
    RetentionSettings,
    ServerSettings,
    Serves,
    Settings,
    SettingsError,
    TcoSettings,
    WebhookChannelSettings,
    is_loopback,
)
from settings.scrape import ScrapeTarget

__all__ = [
    "AlertRule",
    "AlertSettings",
    "CdcSource",
    "ChecklistSettings",
    "CollectorSettings",
    "DriftMonitor",
    "DriftSettings",
    "ObservabilitySettings",
    "Pool",
    "ProjectRetention",
    "RetentionSettings",
    "ScrapeTarget",
    "ServerSettings",
    "Serves",
    "Settings",
    "SettingsError",
    "TcoSettings",
    "WebhookChannelSettings",
    "is_loopback",
    "load_settings",
]
