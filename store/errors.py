"""The errors of the stores; each message says what was found, what was expected and what to do."""


class StoreError(RuntimeError):
    """A store cannot be opened or used."""


class NewerDataError(StoreError):
    """The data was written by a newer Andon than this one."""
