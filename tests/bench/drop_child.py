"""The bare loop that the way in is measured against: an aiomqtt client that receives records and drops them.

It moves the publisher's window by acknowledging what it dropped, in the same message as the gateway's, unchecked.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import struct

import aiomqtt

_NAME = struct.Struct("<8sQ")


async def _run(port: int, credit: int) -> None:
    options = ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),)
    async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5, socket_options=options) as client:
        await client.subscribe("hearthlog/v1/+/up/rec", qos=0)
        await client.publish("hearthlog/v1/gateway/status", b'{"state":"online"}', qos=1, retain=True)
        dropped: dict[tuple[str, bytes], list[int]] = {}
        some = asyncio.Event()

        async def answer() -> None:
            while True:
                await some.wait()
                await asyncio.sleep(0.002)
                some.clear()
                batch = list(dropped.items())
                dropped.clear()
                for (device, boot), sequences in batch:
                    ranges = [[each, each] for each in sequences]
                    said = {"boot": boot.hex(), "ranges": ranges, "nack": [], "credit": credit}
                    await client.publish(f"hearthlog/v1/{device}/dn/ack", json.dumps(said))

        async with asyncio.TaskGroup() as group:
            group.create_task(answer(), name="answers")
            print("ready", flush=True)
            async for message in client.messages:
                assert isinstance(message.payload, bytes)
                boot, sequence = _NAME.unpack_from(message.payload, 20)
                dropped.setdefault((str(message.topic).split("/")[2], boot), []).append(sequence)
                some.set()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--credit", type=int, default=8)
    given = parser.parse_args()
    asyncio.run(_run(given.port, given.credit))


if __name__ == "__main__":
    main()
