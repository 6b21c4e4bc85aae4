"""The golden packets, and the record's rules one by one."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.decoders.cbor import read_cbor
from gateway.decoders.contents import read_contents
from gateway.decoders.notes import Anchor, Lost
from gateway.decoders.record import (
    HEADER_BYTES,
    MAX_RECORD_BYTES,
    BadRecord,
    RecordKind,
    decode_record,
    encode_record,
)
from gateway.entities import Decoded, RecordKey
from gateway.errors import Rejected

GOLDEN = Path(__file__).parents[1] / "fixtures" / "records"
INDEX = json.loads((GOLDEN / "index.json").read_text("utf-8"))
KEY = RecordKey(boot_id=bytes(range(8)), boot_counter=9, sequence=1_024, mono_us=5)


@pytest.mark.parametrize("name", sorted(name for name in INDEX if "code" not in INDEX[name]))
def test_golden_packet_is_read(name: str) -> None:
    expected = INDEX[name]
    record = decode_record((GOLDEN / name).read_bytes())
    read_contents(record)
    found = {
        "kind": record.kind.name.lower(),
        "boot_counter": record.boot_counter,
        "boot": record.boot_id.hex(),
        "sequence": record.sequence,
        "mono_us": record.mono_us,
        "meta": record.meta,
        "body_sha256": record.body_sha256.hex(),
    }
    assert found == expected


@pytest.mark.parametrize("name", sorted(name for name in INDEX if "code" in INDEX[name]))
def test_broken_golden_packet_is_refused_with_its_code(name: str) -> None:
    with pytest.raises(BadRecord) as refused:
        read_contents(decode_record((GOLDEN / name).read_bytes()))
    assert refused.value.code == INDEX[name]["code"]


def test_golden_packets_are_made_again_byte_for_byte(tmp_path: Path) -> None:
    runpy.run_path(str(GOLDEN / "make.py"))["main"](tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_bytes() for path in GOLDEN.iterdir() if path.suffix in (".rec", ".json")}
    assert made == kept
    assert sum(map(len, kept.values())) < 60_000


def test_own_encoder_writes_what_the_golden_script_writes() -> None:
    golden = (GOLDEN / "jpeg.rec").read_bytes()
    record = decode_record(golden)
    assert encode_record(kind=record.kind, key=record.key, meta=record.meta, body=record.body) == golden


def test_record_of_the_largest_size_is_read_and_one_byte_more_is_not() -> None:
    body = bytes(MAX_RECORD_BYTES - HEADER_BYTES - 36)
    whole = encode_record(kind=RecordKind.JPEG, key=KEY, meta={}, body=body)
    assert len(decode_record(whole).body) == len(body)
    with pytest.raises(BadRecord) as refused:
        decode_record(encode_record(kind=RecordKind.JPEG, key=KEY, meta={}, body=body + b"\0"))
    assert refused.value.code == "too-big"


def test_refusal_names_the_record_once_its_header_can_be_trusted() -> None:
    whole = (GOLDEN / "jpeg.rec").read_bytes()
    with pytest.raises(BadRecord) as cut:
        decode_record(whole[:-1])
    assert cut.value.key is not None
    assert cut.value.key.sequence == 7
    with pytest.raises(BadRecord) as broken:
        decode_record(bytes([*whole[:30], whole[30] ^ 8, *whole[31:]]))
    assert broken.value.key is None


def test_any_single_flipped_bit_is_refused() -> None:
    whole = (GOLDEN / "jpeg-dated.rec").read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << (at % 8)
        with pytest.raises(BadRecord):
            decode_record(bytes(damaged))


def test_sound_is_stored_as_wav_of_its_samples() -> None:
    record = decode_record((GOLDEN / "audio.rec").read_bytes())
    contents = read_contents(record)
    assert isinstance(contents, Decoded)
    assert contents.body[44:] == record.body
    assert (contents.duration_us, contents.first_sample, contents.media_type) == (100_000, 48_000, "audio/wav")


def test_anchor_and_gap_are_read() -> None:
    anchor = read_contents(decode_record((GOLDEN / "anchor.rec").read_bytes()))
    assert isinstance(anchor, Anchor)
    assert (anchor.mono_us, anchor.utc_us, anchor.err_us) == (60_000_000, 1_790_000_000_000_000, 4_000)
    gap = read_contents(decode_record((GOLDEN / "gap-with-times.rec").read_bytes()))
    assert gap == Lost(ranges=((8, 12), (20, 20)), why="card-full", from_us=10, to_us=5_000_000)


numbers = st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 64) - 1)
    | numbers
    | st.text(max_size=20)
    | st.binary(max_size=20)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


def _depth(value: object) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + max(map(_depth, inner), default=0) if isinstance(value, list | dict) else 0


@settings(max_examples=150, deadline=None)
@given(values.filter(lambda value: _depth(value) <= 4))
def test_cbor_of_the_subset_reads_as_the_reference_reads_it(value: object) -> None:
    assert read_cbor(cbor2.dumps(value)) == value


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=64))
def test_cbor_garbage_is_refused_or_agrees_with_the_reference(data: bytes) -> None:
    try:
        value = read_cbor(data)
    except Rejected:
        return
    assert cbor2.loads(data) == value


def test_cbor_of_many_empty_things_or_levels_is_refused() -> None:
    for data in (b"\x99\x10\x00" + b"\x00" * 4_096, b"\x81" * 6 + b"\x00", b"\x9b" + b"\xff" * 8):
        with pytest.raises(Rejected) as refused:
            read_cbor(data)
        assert refused.value.code == "bad-cbor"
