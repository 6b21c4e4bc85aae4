"""The errors of the house.

Every error says what happened, where, and what helps. `code` is stable: it is what a metric's label, a
problem+json `type`, a nack and the "Why" column of Health show; `str(error)` is for people.
"""

from __future__ import annotations


class HearthlogError(Exception):
    """Base of all errors raised on purpose. `code` is a short kebab-case word, `hint` the next step."""

    code: str = "error"

    def __init__(self, what: str, *, code: str | None = None, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        advice = f". {self.hint}" if self.hint else ""
        return f"{self.what}{place}{advice}"


class Rejected(HearthlogError):
    """The input itself is wrong; trying again cannot help. Refused with its code, never stored."""

    code = "rejected"


class Retryable(HearthlogError):
    """The input may be fine; the world is not (disk full, a lock, a worker that died). Try again later."""

    code = "try-later"

    def __init__(self, what: str, *, code: str | None = None, hint: str = "", retry_ms: int = 5_000) -> None:
        super().__init__(what, code=code, hint=hint)
        self.retry_ms = retry_ms


class StorageFull(Retryable):
    """No room: bytes or rows cannot be made durable, so nothing is acknowledged."""

    code = "disk-full"


class NotFound(HearthlogError):
    """There is no such thing, or it is not the viewer's to see: the two are never told apart."""

    code = "not-found"


class Forbidden(HearthlogError):
    """The viewer is known and may not do this."""

    code = "forbidden"


class Conflict(HearthlogError):
    """The thing is not in a state in which this can be done (a name taken, a key with another hash)."""

    code = "conflict"


class ConfigError(HearthlogError):
    """A setting that cannot be used. The gateway does not start on a guess."""

    code = "config"


class ModelMissing(HearthlogError):
    """The model of a task is not installed. A step that meets it is skipped with this as the reason."""

    code = "model-missing"

    def __init__(self, task: str, *, hint: str = "") -> None:
        super().__init__(f"no model for {task}", where=task, hint=hint or f"hearthlog models pull {task}")
        self.task = task


class ModelBroken(HearthlogError):
    """The model's files are not the ones its manifest names, or the runtime cannot load them."""

    code = "model-broken"


class WorkerFailed(HearthlogError):
    """A worker process died, hung past its deadline or ran out of memory while it had this work."""

    code = "worker-failed"


class Unreadable(HearthlogError):
    """The bytes passed the gate but cannot be decoded: the job is buried with this as its reason."""

    code = "unreadable"


class Skip(Exception):
    """A step has nothing to say about this capture. The reason is kept as an annotation.

    `code` is stable kebab-case (`too-small`, `same-still-scene`, `model-missing`).
    """

    def __init__(self, reason: str, *, code: str = "nothing-to-do", hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.hint = hint
