"""The OpenTelemetry instrumentors that are installed: what each instruments, and which of two is preferred.

Reads the entry points that instrumentation packages declare and the names below; loads nothing until told to turn one
on. Imported by `andon.activate` when it is called, not before.
"""

import importlib
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from importlib.metadata import Distribution, EntryPoint, entry_points
from typing import Any, Final

from opentelemetry.trace import TracerProvider

ENTRY_POINT_GROUPS: Final = ("opentelemetry_instrumentor", "openinference_instrumentor")

# Model clients, agent and LLM frameworks, vector stores: a name for each, and how packages spell it otherwise.
GENAI_LIBRARIES: Final[dict[str, tuple[str, ...]]] = {
    "openai": ("openai_v2",),
    "anthropic": (),
    "bedrock": ("boto3",),
    "google-genai": ("google_generativeai",),
    "vertexai": ("google_cloud_aiplatform",),
    "azure-ai-inference": (),
    "mistralai": ("mistral",),
    "cohere": (),
    "groq": (),
    "ollama": (),
    "together": (),
    "replicate": (),
    "alephalpha": ("aleph_alpha_client",),
    "sagemaker": (),
    "watsonx": ("ibm_watson_machine_learning",),
    "writer": (),
    "voyageai": (),
    "transformers": (),
    "vllm": (),
    "litellm": (),
    "portkey": (),
    "instructor": (),
    "guardrails": (),
    "langchain": (),
    "langgraph": (),
    "llama-index": ("llamaindex",),
    "haystack": ("haystack_ai",),
    "dspy": (),
    "crewai": (),
    "agno": (),
    "ag2": ("autogen",),
    "autogen-agentchat": (),
    "openai-agents": ("openai_agents_v2",),
    "claude-agent-sdk": (),
    "agent-framework": (),
    "google-adk": (),
    "pydantic-ai": (),
    "smolagents": (),
    "strands-agents": ("strands",),
    "beeai": (),
    "qwen-agent": (),
    "mcp": (),
    "chromadb": ("chroma",),
    "pinecone": ("pinecone_client",),
    "qdrant": ("qdrant_client",),
    "weaviate": ("weaviate_client",),
    "milvus": ("pymilvus",),
    "lancedb": (),
    "marqo": (),
}


class Family(Enum):
    """Who makes an instrumentor, most preferred first; `value` is what its package is built on.

    OpenTelemetry's own follow the current GenAI conventions and keep content out unless told otherwise; OpenLLMetry
    uses the same names; OpenInference has names of its own.
    """

    OPENTELEMETRY = ("opentelemetry_util_genai",)
    OPENLLMETRY = ("opentelemetry_semantic_conventions_ai",)
    OPENINFERENCE = ("openinference_instrumentation", "openinference_semantic_conventions")
    OTHER = ()


def _spelling(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


_LIBRARY_OF_SPELLING: Final = {
    _spelling(spelling): library for library, others in GENAI_LIBRARIES.items() for spelling in (library, *others)
}


def library_called(name: str) -> str:
    """Return our name of a library; one that we do not know keeps its own, with hyphens."""
    spelling = _spelling(name)
    return _LIBRARY_OF_SPELLING.get(spelling, spelling.replace("_", "-"))


class CannotTurnOnError(Exception):
    """An instrumentor does not work here; the message says why."""


class LibraryMissingError(CannotTurnOnError):
    """What the instrumentor instruments is not installed, which is no fault."""


@dataclass(frozen=True, slots=True)
class Instrumentor:
    """One installed instrumentor, not loaded yet."""

    entry_point: EntryPoint
    distribution: Distribution | None
    family: Family

    @property
    def library(self) -> str:
        """What it instruments."""
        return library_called(self.entry_point.name)

    @property
    def package(self) -> str:
        """The name of the distribution that it comes from."""
        return self.distribution.name if self.distribution is not None else self.entry_point.value

    @property
    def is_genai(self) -> bool:
        """Whether it is a known one, or its package builds on conventions for generative AI."""
        return self.library in GENAI_LIBRARIES or self.family is not Family.OTHER

    def is_meant_by(self, name: str) -> bool:
        """Whether `name` is the library, the entry point or the package."""
        return _spelling(self.package) == _spelling(name) or self.library == library_called(name)

    def turn_on(self) -> None:
        """Load and instrument.

        Raises:
            CannotTurnOnError: it failed, or refused the installed version of the library.
            LibraryMissingError: there is nothing to instrument.
        """
        self._check(_conflict_of(self.distribution))
        try:
            instrumentor: Any = self.entry_point.load()()
            if getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
                return
            instrumentor.instrument(raise_exception_on_conflict=True)
        except Exception as error:
            self._check(getattr(error, "conflict", None))
            raise CannotTurnOnError(f"{type(error).__name__}: {error}") from error
        if not getattr(instrumentor, "is_instrumented_by_opentelemetry", True):
            raise CannotTurnOnError("it did not start; its own log may say why")

    def _check(self, conflict: Any) -> None:
        if conflict is None:
            return
        there = getattr(conflict, "found", None) or getattr(conflict, "found_any", None)
        raise (CannotTurnOnError if there else LibraryMissingError)(str(conflict))


def _conflict_of(distribution: Distribution | None) -> Any:
    """Ask OpenTelemetry whether what the package instruments is installed, as its own auto-instrumentation does."""
    try:
        dependencies: Any = importlib.import_module("opentelemetry.instrumentation.dependencies")
        return dependencies.get_dist_dependency_conflicts(distribution)
    except Exception:  # noqa: BLE001 - then loading it will tell
        return None


def installed() -> list[Instrumentor]:
    """Return every instrumentor that is installed, the preferred ones of a library first."""
    found: dict[str, Instrumentor] = {}
    for group in ENTRY_POINT_GROUPS:
        for entry_point in entry_points(group=group):
            distribution = entry_point.dist
            requires = [] if distribution is None else (distribution.requires or [])
            found.setdefault(entry_point.value, Instrumentor(entry_point, distribution, _family(requires)))
    order = list(Family)
    # The newer packages of OpenTelemetry replace those of the same library without `genai` in the name.
    return sorted(found.values(), key=lambda one: (order.index(one.family), "-genai-" not in one.package, one.package))


def _family(requirements: Iterable[str]) -> Family:
    needed = (text for text in requirements if "extra ==" not in text)
    names = {_spelling(re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0]) for text in needed}
    return next((family for family in Family if not names.isdisjoint(family.value)), Family.OTHER)


def already_instrumented() -> dict[str, str]:
    """Return the libraries that something in this process instruments already, and the module that does."""
    found: dict[str, str] = {}
    for instrumentor in _instrumentor_classes(getattr(sys.modules.get(_BASE_MODULE), "BaseInstrumentor", None)):
        running = vars(instrumentor).get("_instance")
        if running is not None and getattr(running, "is_instrumented_by_opentelemetry", False):
            found.setdefault(_library_of_module(instrumentor.__module__), instrumentor.__module__)
    for library, (module, client) in _MARKED_BY_LOGFIRE.items():
        if getattr(getattr(sys.modules.get(module), client, None), "_is_instrumented_by_logfire", False):
            found.setdefault(library, "logfire")
    return found


def provider_of_logfire() -> TracerProvider | None:
    """Return the tracer provider that Logfire keeps to itself when the program had one before it was configured."""
    logfire: Any = sys.modules.get("logfire")
    instance = getattr(logfire, "DEFAULT_LOGFIRE_INSTANCE", None)
    provider = instance.config.get_tracer_provider() if instance is not None else None
    return provider if isinstance(provider, TracerProvider) else None


_BASE_MODULE: Final = "opentelemetry.instrumentation.instrumentor"
# Logfire has no instrumentor objects for these; it marks the client's class.
_MARKED_BY_LOGFIRE: Final = {"openai": ("openai", "OpenAI"), "anthropic": ("anthropic", "Anthropic")}


def _instrumentor_classes(base: Any) -> Iterator[type[Any]]:
    for cls in base.__subclasses__() if base is not None else ():
        yield cls
        yield from _instrumentor_classes(cls)


def _library_of_module(module: str) -> str:
    """`openlit.instrumentation.openai`, `opentelemetry.instrumentation.genai.openai` and the like are of `openai`."""
    inside = module.partition(".instrumentation.")[2].removeprefix("genai.")
    return library_called(inside.partition(".")[0])
