"""Search."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from gateway.entities import Kind
from gateway.errors import NotFound
from gateway.recall.answer import Has, Query
from gateway.shapes import AnswerOut, answer_out
from gateway.web.route import Ask, Model, reads
from gateway.web.times import edge_us

_EARLIEST = "An instant (RFC 3339; without an offset in the home's zone), or a day of the home's calendar"


def _split(values: object) -> object:
    """`?device=a,b&device=c` is three."""
    if isinstance(values, list):
        return [part for value in values for part in str(value).split(",") if part]
    return values


Kinds = Annotated[list[Kind], BeforeValidator(_split)]
Devices = Annotated[list[str], BeforeValidator(_split)]
Hases = Annotated[list[Has], BeforeValidator(_split)]


class SearchQuery(Model):
    """What is looked for. Filters are exact; only the words are ranked."""

    q: str = Field(default="", max_length=500)
    from_: str = Field(default="", alias="from", max_length=40, description=_EARLIEST)
    to: str = Field(default="", max_length=40, description=_EARLIEST + ", which is then included")
    device: Devices = Field(default_factory=list, max_length=64, description="Ids; may be repeated")
    person: str = Field(default="", max_length=64, description="Nobody is known by face yet: only empty is accepted")
    kind: Kinds = Field(default_factory=list, max_length=8, description="May be repeated")
    has: Hases = Field(default_factory=list, max_length=8, description="`text`, `person`; may be repeated")
    folded: bool = Field(default=False, description="Also what was folded away")
    parse: bool = Field(default=True, description="Take words that name a time, a camera or a kind as filters")
    limit: int = Field(default=30, ge=1, le=200)
    cursor: str = Field(default="", max_length=400)


@reads("/search", query=SearchQuery, answer=AnswerOut)
async def search(ask: Ask[SearchQuery]) -> AnswerOut:
    """Search memories by words, meaning and filters, with the reasons for every hit."""
    return answer_out(await ask.parts.memories.search(ask.viewer, query_of(ask.given, ask.parts.memories.zone)))


ROUTES = (search,)


def query_of(given: SearchQuery, zone: str) -> Query:
    """The query that the door takes. Raises Rejected for a time that is none, NotFound for a person."""
    if given.person:
        raise NotFound("nobody is known by face here yet", code="unknown-person", hint="Search for the name as a word")
    return Query(
        text=given.q,
        from_us=edge_us(given.from_, zone, end=False),
        to_us=edge_us(given.to, zone, end=True),
        devices=tuple(given.device),
        kinds=tuple(given.kind),
        has=frozenset(given.has),
        folded=given.folded,
        limit=given.limit,
        cursor=given.cursor,
        parse=given.parse,
    )
