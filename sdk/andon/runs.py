"""The answers of one run whose usage is counted already.

Shared by all calls of the run in this process: an answer passes through each of them, and is one usage.
"""

import weakref
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from andon.clients.reading import Reading

_MOST_SEEN: Final = 1024


class Run:
    """What the calls of one run share: the answers whose usage is counted already.

    The same answer is often returned by a stage and by the pipeline around it. Known by its id, or else by the identity
    of what carries its usage; the newest few are remembered, weakly where that can be, since some are large.
    """

    __slots__ = ("_seen",)
    _seen: dict[object, object]

    def is_new(self, reading: "Reading") -> bool:
        """Whether this usage is met for the first time; remembers it."""
        source = reading.source
        key: object = reading.response_id or id(source)
        try:
            seen = self._seen
        except AttributeError:  # most runs meet none
            seen = self._seen = {}
        held = seen.get(key)
        if held is not None and (reading.response_id or (held() if isinstance(held, weakref.ref) else held) is source):
            return False
        try:
            seen[key] = weakref.ref(source)
        except TypeError:
            seen[key] = source
        while len(seen) > _MOST_SEEN:
            try:
                seen.pop(next(iter(seen)), None)
            except RuntimeError:  # another thread has just remembered one, and forgets the oldest in turn
                continue
        return True
