"""The place of a call, carried along into threads and worker processes that the standard library starts.

Python gives a new thread or process no context, so a stage that runs in a pool would belong to no pipeline. From `init`
on, what executors, pools, threads and processes are asked to do is done in the context of whoever asked. Across
processes it travels as W3C trace context and baggage, with the settings, so that a worker records as its parent does.
"""

import functools
import threading
from collections.abc import Callable
from concurrent.futures import thread as pool_threads
from typing import Any, Final

from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from andon.guard import fault
from andon.runtime import runtime
from andon.settings import SHUTDOWN_SECONDS, Settings
from andon.spans import leave, open_span_in
from andon.unstable import attach, current_context

_PROPAGATORS: Final = (TraceContextTextMapPropagator(), W3CBaggagePropagator())


# Whether the end of worker processes is seen to.
_installed: Final[list[bool]] = []


class Task:
    """A function on its way into another process, with where it was sent from."""

    __slots__ = ("_carrier", "_fn", "_settings")

    def __init__(self, fn: Callable[..., Any], carrier: dict[str, str], settings: Settings | None) -> None:
        self._fn = fn
        self._carrier = carrier
        self._settings = settings

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function in the context that it was sent from."""
        context = self._begin()
        if context is None:
            return self._fn(*args, **kwargs)
        return run_in(context, self._fn, *args, **kwargs)

    def _begin(self) -> Context | None:
        try:
            if self._settings is not None and runtime.start_if_new(self._settings):
                install()
            context = Context()
            for propagator in _PROPAGATORS:
                context = propagator.extract(self._carrier, context)
            return context
        except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
            fault("carrying a context", problem)
            return None


def run_in(context: Context, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """Call a function with `context` current."""
    token = attach(context)
    try:
        return fn(*args, **kwargs)
    finally:
        leave(token)


def to_process(fn: Any) -> Any:
    """Return `fn` as a task that carries the current context; `fn` itself where that cannot be."""
    if runtime.tracer is None or not callable(fn) or isinstance(fn, Task):
        return fn
    try:
        carrier: dict[str, str] = {}
        for propagator in _PROPAGATORS:
            propagator.inject(carrier, current_context())
        return Task(fn, carrier, runtime.settings_for_children())
    except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
        fault("carrying a context", problem)
        return fn


def _to_thread(fn: Any) -> Any:
    if runtime.tracer is None or not callable(fn):
        return fn
    return functools.partial(run_in, current_context(), fn)


def _carry_thread(thread: threading.Thread) -> None:
    context = current_context()
    if thread.ident is not None:  # begun before: `start` will say so
        return
    # The threads of an executor serve whoever asks next, and our own serve all.
    if open_span_in(context) is None or thread.name.startswith("andon "):
        return
    if getattr(thread, "_target", None) is pool_threads._worker:
        return
    run = thread.run
    own = vars(thread).get("run")

    def run_once() -> None:
        # No cycle through the thread, which is as it was.
        if own is None:
            vars(thread).pop("run", None)
        else:
            thread.run = own  # type: ignore[method-assign]
        run_in(context, run)

    thread.run = run_once  # type: ignore[method-assign]


def _carry_process(process: Any) -> None:
    if (target := getattr(process, "_target", None)) is not None:  # a subclass has its own `run`
        process._target = to_process(target)


def _first_argument(carry: Callable[[Any], Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wrap a method so that its first argument, a function, is passed on as `carry` gives it."""

    def wrapped(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            if args:
                return method(self, carry(args[0]), *args[1:], **kwargs)
            if "func" in kwargs:  # as the methods of `multiprocessing.Pool` call it
                kwargs["func"] = carry(kwargs["func"])
            return method(self, **kwargs)

        return call

    return wrapped


def _before(carry: Callable[[Any], None]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Wrap a method so that `carry` sees the object first."""

    def wrapped(method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
            if runtime.tracer is not None:
                try:
                    carry(self)
                except Exception as problem:  # noqa: BLE001 - nothing of ours may reach the host
                    fault("carrying a context", problem)
            return method(self, *args, **kwargs)

        return call

    return wrapped


def install() -> None:
    """Put the carriers in place, once in a process; they do nothing while nothing is recorded."""
    _replace(pool_threads.ThreadPoolExecutor, "submit", _first_argument(_to_thread))
    _replace(threading.Thread, "start", _before(_carry_thread))
    try:
        from concurrent.futures import process as pool_processes
        from multiprocessing import pool, process, util
    except ImportError:  # a platform without processes
        return
    _replace(pool_processes.ProcessPoolExecutor, "submit", _first_argument(to_process))
    _replace(process.BaseProcess, "start", _before(_carry_process))
    for method in ("apply_async", "_map_async", "imap", "imap_unordered"):
        _replace(pool.Pool, method, _first_argument(to_process))
    if not _installed:
        _installed.append(True)
        util.register_after_fork(runtime, _send_at_exit)
        if process.parent_process() is not None:
            _send_at_exit(None)


def _replace(owner: type, name: str, wrapped: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    method = getattr(owner, name, None)
    if method is not None and not getattr(method, "_carries_andon", False):
        carrier = wrapped(method)
        carrier._carries_andon = True  # type: ignore[attr-defined]
        setattr(owner, name, carrier)


def _send_at_exit(_: object) -> None:
    """In a child of `multiprocessing`, which leaves without the interpreter's own exit: send what is queued first."""
    from multiprocessing.util import Finalize

    Finalize(None, runtime.stop, args=(SHUTDOWN_SECONDS,), exitpriority=0)
