"""The least that has to be done with the bodies: raw asyncio streams kept alive, gunzip, SHA-256 and zstd of each.

For its CPU only.
"""

import asyncio
import hashlib
import re
import zlib
from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

import msgspec
import zstandard
from isal import isal_zlib

from palimpsest_pipeline.domain.enums import Platform
from palimpsest_pipeline_tests.fixtures.platforms import build_adapters

from ._child import Meter, Task, Usage, tell, the_task

LEVEL = 3
"""Of zstd, as the landing's."""
UNPACKERS = {"zlib": zlib.decompress, "isal": isal_zlib.decompress}
"""By what `Task.do` says: the standard library's, or the quicker one that the pipeline has."""
_GZIP = zlib.MAX_WBITS | 16
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class Floor(msgspec.Struct):
    """What it cost."""

    usage: Usage
    requests: int
    bytes: int
    """Of bodies, unpacked."""


def questions(task: Task, platform: Platform) -> list[bytes]:
    """Every detail of the platform, as it goes out."""
    adapter, base = build_adapters([platform])[platform], urlsplit(task.base_urls[platform])
    headers = {
        "host": base.netloc,
        "accept": "*/*",
        "accept-encoding": "gzip",
        **{name.lower(): value for name, value in adapter.build_headers().items()},
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    wanted = [
        (external_id, target.sr_id) for target in task.targets for external_id in target.listings.get(platform, ())
    ]
    asked = [adapter.list_detail_requests(*listing, ())[0] for listing in wanted]
    paths = [
        base.path + request.path + (f"?{urlencode(request.params)}" if request.params else "") for request in asked
    ]
    return [f"GET {path} HTTP/1.1\r\n{head}\r\n".encode() for path in paths]


async def connection(base_url: str, mine: Iterator[bytes], unpacker: str, floor: Floor) -> None:
    """Asks one question after the other, as long as there are any."""
    base, packer, unpacked = urlsplit(base_url), zstandard.ZstdCompressor(level=LEVEL), UNPACKERS[unpacker]
    reader, writer = await asyncio.open_connection(base.hostname, base.port, limit=2**20)
    for question in mine:
        writer.write(question)
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200 ") or length is None:
            raise RuntimeError(f"not an answer to measure with: {head!r}")
        body = unpacked(await reader.readexactly(int(length[1])), _GZIP)
        hashlib.sha256(body).hexdigest()
        packer.compress(body)
        floor.requests += 1
        floor.bytes += len(body)
    writer.close()
    await writer.wait_closed()


async def main() -> None:
    task = the_task(Task)
    asked = {platform: questions(task, platform) for platform in task.base_urls}
    meter = Meter()
    floor = Floor(meter.read(), 0, 0)
    async with asyncio.TaskGroup() as tasks:
        for platform, mine in asked.items():
            shared = iter(mine)
            for _ in range(task.slots[platform]):
                tasks.create_task(connection(task.base_urls[platform], shared, task.do, floor))
    floor.usage = meter.read()
    tell(floor)


if __name__ == "__main__":
    asyncio.run(main())
