"""Lay a picture over others and say what differs. Needs no weights.

Task `overlap`, params `{others: [blob, …]}`: at most MOST references as they travel to a worker. Answers
`{found: [map | null, …]}`, one for each of `others`: the fields of `overlap.Overlap`, or null where nothing of the
picture is found in it, or where the other is gone or cannot be read.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from gateway.entities import BlobRef, Json
from gateway.errors import NotFound, Rejected, Unreadable
from gateway.inference.family import Family, Options, Request, Runner
from gateway.inference.overlap import Looked, looked, overlap
from gateway.inference.pictures import decode_picture, picture_of
from gateway.store.blobs import read_blob

MOST = 12
_SIDE_PX = 640
"""Decoded no larger: a JPEG then takes an eighth of the time."""
_KEPT = 16


def load(files: Mapping[str, Path], options: Options) -> Runner:
    kept: OrderedDict[bytes, Looked] = OrderedDict()

    def other(blob: BlobRef) -> Looked | None:
        if blob.sha256 in kept:
            kept.move_to_end(blob.sha256)
            return kept[blob.sha256]
        try:
            seen = looked(decode_picture(read_blob(blob), long_side_px=_SIDE_PX).image)
        except (NotFound, Unreadable):
            return None  # what is no longer there is no evidence
        kept[blob.sha256] = seen
        while len(kept) > _KEPT:
            kept.popitem(last=False)
        return seen

    def run(request: Request) -> Json:
        others = _blobs(request.params.get("others"))
        own = looked(picture_of(request.the_blob()).image)
        found: list[Json | None] = []
        for blob in others:
            seen = other(blob)
            laid = None if seen is None else overlap(own, seen)
            found.append(None if laid is None else asdict(laid))
        return {"found": found}

    return run


def _blobs(given: object) -> list[BlobRef]:
    if not isinstance(given, list) or not 0 < len(given) <= MOST:
        raise Rejected(f"params.others must be 1 to {MOST} blobs", code="bad-params")
    try:
        return [BlobRef(**each) for each in given]
    except TypeError as error:
        raise Rejected("params.others must be blobs", code="bad-params") from error


FAMILY = Family(name="overlap", tasks=("overlap",), load=load)
