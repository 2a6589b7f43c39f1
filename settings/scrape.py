"""What can be set for one target of the scraper, a `[[collector.scrape]]` table; read by `collector/scrape`."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic import AnyHttpUrl, BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

DEFAULT_TIMEOUT_SECONDS = 10.0
_BARE_HOST = re.compile(r"(?P<host>[A-Za-z][A-Za-z0-9.-]*|[0-9.]+):[0-9]+(/.*)?")


class ScrapeTarget(BaseModel):
    """An address that shows metrics in the Prometheus text format or OpenMetrics, such as /metrics of an engine."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str = Field(min_length=1, description="the job: service.name of everything the target shows")
    url: AnyHttpUrl = Field(description="http:// or https:// address; without a path, /metrics is asked for")
    interval_seconds: float = Field(15.0, ge=0.1, le=86_400, description="time from one scrape to the next")
    timeout_seconds: float | None = Field(
        None, gt=0, description="time a whole scrape may take; not set: 10, or the interval where that is shorter"
    )
    labels: dict[str, str] = Field(
        default_factory=dict,
        description="resource attributes of everything the target shows, for example deployment.environment.name",
    )
    accelerator_pool: str | None = Field(None, description="name of the capacity pool that the target belongs to")
    bearer_token: SecretStr | None = Field(None, description="sent as Authorization: Bearer")
    username: str | None = Field(None, description="of HTTP basic authentication")
    password: SecretStr | None = Field(None, description="of HTTP basic authentication")
    ca_file: Path | None = Field(None, description="PEM file of who signs the target's certificate; not set: certifi's")
    only: tuple[str, ...] = Field((), description="beginnings of metric names that are kept; none: all")
    ignore: tuple[str, ...] = Field((), description="beginnings of metric names that are not kept, also where in only")
    max_body_bytes: int = Field(16 * 2**20, gt=0, description="largest answer, before and after decompression")
    max_series: int = Field(50_000, gt=0, description="most lines with a value in one scrape; above, it fails")
    max_labels: int = Field(64, gt=0, description="most labels of a line; a line with more is refused")
    max_label_bytes: int = Field(4096, gt=0, description="longest label value; a line with a longer one is refused")

    @field_validator("url", mode="before")
    @classmethod
    def _url_has_a_scheme(cls, url: object) -> object:
        if isinstance(url, str) and (found := _BARE_HOST.fullmatch(url)):
            raise ValueError(f"the address of {found['host']!r} has no scheme: write http:// or https:// before it")
        return url

    @field_validator("url")
    @classmethod
    def _url_holds_no_password(cls, url: AnyHttpUrl) -> AnyHttpUrl:
        if url.username or url.password:
            raise ValueError(f"the address of {url.host!r} holds a user: set username and password instead")
        return url

    @field_validator("bearer_token")
    @classmethod
    def _token_fits_a_header(cls, token: SecretStr | None) -> SecretStr | None:
        if token is not None and not re.fullmatch(r"[!-~]+", token.get_secret_value()):
            raise ValueError("a bearer token is printable ASCII without spaces or line ends")
        return token

    @field_validator("labels")
    @classmethod
    def _labels_say_something(cls, labels: dict[str, str]) -> dict[str, str]:
        empty = next((key for key, text in labels.items() if not key or not text), None)
        if empty is not None:
            raise ValueError(f"the label {empty!r} has no name or no value; leave it out")
        return labels

    @model_validator(mode="after")
    def _fits_together(self) -> ScrapeTarget:
        place = f"[[collector.scrape]] {self.name!r}"
        if self.timeout_seconds is not None and self.timeout_seconds > self.interval_seconds:
            raise ValueError(
                f"{place}: timeout_seconds = {self.timeout_seconds:g} is longer than interval_seconds = "
                f"{self.interval_seconds:g}; scrapes of a target never overlap"
            )
        if (self.username is None) != (self.password is None):
            raise ValueError(f"{place}: username and password go together; set both or none")
        if self.bearer_token is not None and self.username is not None:
            raise ValueError(f"{place}: bearer_token and username are both set; a request carries one of them")
        if self.ca_file is not None and not self.ca_file.is_file():
            raise ValueError(f"{place}: ca_file = {str(self.ca_file)!r} is not a file")
        return self

    @property
    def address(self) -> str:
        """What is asked for: the URL, with /metrics where it has no path."""
        path = self.url.path if self.url.path not in {None, "", "/"} else "/metrics"
        query = f"?{self.url.query}" if self.url.query else ""
        return f"{self.url.scheme}://{self.instance}{path}{query}"

    @property
    def instance(self) -> str:
        """host:port."""
        return f"{self.url.host}:{self.url.port}"

    @property
    def deadline_seconds(self) -> float:
        """How long a whole scrape may take."""
        return self.timeout_seconds or min(DEFAULT_TIMEOUT_SECONDS, self.interval_seconds)


def refuse_repeated(targets: tuple[ScrapeTarget, ...]) -> tuple[ScrapeTarget, ...]:
    """Targets of one name on one host and port would write the same series.

    Raises:
        ValueError: there are such.
    """
    seen: set[tuple[str, str]] = set()
    for target in targets:
        if (target.name, target.instance) in seen:
            raise ValueError(
                f"two targets are named {target.name!r} and ask {target.instance}; give each its own name "
                "under [[collector.scrape]]"
            )
        seen.add((target.name, target.instance))
    return targets
