"""Turn the golden packets into a C table: python golden.py RECORDS_FOLDER > golden.h. They are read, never changed."""

from __future__ import annotations

import json
import sys
from pathlib import Path

KINDS = {"jpeg": 1, "audio": 2, "telemetry": 3, "anchor": 4, "gap": 5}


def main(folder: Path) -> None:
    index = json.loads((folder / "index.json").read_text())
    table, packets = [], []
    for n, (name, want) in enumerate(index.items()):
        data = (folder / name).read_bytes()
        packets.append(f"static const uint8_t PACKET_{n}[] = {{{','.join(map(str, data)) or '0'}}};")
        if "code" in want:
            table.append(f'{{"{name}", PACKET_{n}, {len(data)}, "{want["code"]}", 0, 0, 0, 0, "", ""}},')
        else:
            table.append(
                f'{{"{name}", PACKET_{n}, {len(data)}, "ok", {KINDS[want["kind"]]}, {want["boot_counter"]}u,'
                f' {want["sequence"]}u, {want["mono_us"]}u, "{want["boot"]}", "{want["body_sha256"]}"}},'
            )
    lines = [*packets, "static const golden_packet PACKETS[] = {", *table, "};", ""]
    sys.stdout.write("\n".join(lines))


main(Path(sys.argv[1]))
