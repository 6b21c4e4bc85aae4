"""The queue, what was set aside, and how the box is doing."""

from __future__ import annotations

from pydantic import Field

from gateway.entities import Priority
from gateway.errors import NotFound
from gateway.health import Health, SetAside
from gateway.shapes import Shape, instant
from gateway.web.auth import refuse_guest, require_admin
from gateway.web.route import Ask, Model, Nothing, Rules, reads, writes


class NodeOut(Shape):
    """One step of the pipeline."""

    step: str
    label: str
    waiting: int
    per_minute: float
    oldest_s: float | None
    line: list[int] = Field(description="Ended per minute over the last hour, oldest first")
    slow: bool = Field(description="Slower than what arrives")


class SetAsideOut(Shape):
    """A job that was buried, or an arrival that was refused."""

    id: str
    what: str
    memory: str | None
    device: str
    source_name: str
    code: str
    reason: str
    hint: str
    tries: int
    at: str
    can_retry: bool


class ReadingOut(Shape):
    """What the box measured of itself."""

    at: str
    value: float


class BudgetOut(Shape):
    """One thing of which there is only so much."""

    name: str
    label: str
    used: float
    limit: float
    unit: str
    over: bool
    note: str = Field(description="What comes of it: which originals the rules would take next")
    past: list[ReadingOut] = Field(description="The last 24 hours, oldest first, the highest of each five minutes")


class PartOut(Shape):
    """Something the box leans on."""

    name: str
    state: str = Field(description="`good`, `look` or `off`")
    detail: str


class JobsOut(Shape):
    """The queue and what was set aside."""

    steps: list[NodeOut]
    priorities: dict[Priority, int]
    set_aside: list[SetAsideOut] = Field(description="Newest first, at most 200")


class HealthOut(JobsOut):
    """How the box is doing."""

    sentence: str
    budgets: list[BudgetOut]
    parts: list[PartOut]


class RetryAll(Model):
    """Of which step; absent: of all."""

    step: str = Field(default="", max_length=64)


class Retried(Shape):
    """How many jobs are done again."""

    retried: int


@reads("/health", query=Nothing, answer=HealthOut)
async def read_health(ask: Ask[Nothing]) -> HealthOut:
    """How the box is doing."""
    return health_out(await ask.parts.health.look(ask.viewer))


@reads("/jobs", query=Nothing, answer=JobsOut)
async def list_jobs(ask: Ask[Nothing]) -> JobsOut:
    """The queue per step, and what was set aside and why."""
    whole = health_out(await ask.parts.health.look(ask.viewer))
    return JobsOut(steps=whole.steps, priorities=whole.priorities, set_aside=whole.set_aside)


@writes("POST", "/jobs/{id:[0-9]{1,18}}/retry", body=Nothing, answer=Nothing, rules=Rules(scope="write", status=204))
async def retry_job(ask: Ask[Nothing]) -> Nothing:
    """Try a job again that was set aside."""
    refuse_guest(ask.viewer.role)
    await ask.parts.health.retry(ask.viewer, int(ask.part("id")))
    return Nothing()


@writes("POST", "/jobs/retry", body=RetryAll, answer=Retried)
async def retry_jobs(ask: Ask[RetryAll]) -> Retried:
    """Try everything again that was set aside."""
    refuse_guest(ask.viewer.role)
    return Retried(retried=await ask.parts.health.retry_all(ask.viewer, step=ask.given.step))


@writes("POST", "/reindex", body=Nothing, answer=Nothing)
async def reindex(ask: Ask[Nothing]) -> Nothing:
    """Make the indexes anew from what is stored. Search answers throughout. Only an admin can."""
    require_admin(ask.viewer.role)
    if ask.parts.reindex is None:
        raise NotFound("there is no index here", code="no-index")
    await ask.parts.reindex()
    return Nothing()


ROUTES = (read_health, list_jobs, retry_job, retry_jobs, reindex)


def health_out(health: Health) -> HealthOut:
    """Health as JSON has it."""
    return HealthOut(
        sentence=health.sentence,
        steps=[
            NodeOut(
                step=node.name,
                label=node.label,
                waiting=node.waiting,
                per_minute=node.per_minute,
                oldest_s=node.oldest_s,
                line=list(node.line),
                slow=node.slow,
            )
            for node in health.nodes
        ],
        priorities=dict(health.priorities),
        set_aside=[_set_aside(each) for each in health.set_aside],
        budgets=[
            BudgetOut(
                name=each.name,
                label=each.label,
                used=each.used,
                limit=each.limit,
                unit=each.unit,
                over=each.over,
                note=each.note,
                past=[ReadingOut(at=instant(at_us), value=value) for at_us, value in each.past],
            )
            for each in health.budgets
        ],
        parts=[PartOut(name=each.name, state=each.state, detail=each.detail) for each in health.parts],
    )


def _set_aside(each: SetAside) -> SetAsideOut:
    return SetAsideOut(
        id=each.id,
        what=each.what,
        memory=each.memory or None,
        device=each.device,
        source_name=each.source_name,
        code=each.code,
        reason=each.reason,
        hint=each.hint,
        tries=each.tries,
        at=instant(each.at_us),
        can_retry=each.can_retry,
    )
