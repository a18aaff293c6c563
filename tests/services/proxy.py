"""A TCP proxy on 127.0.0.1 between the product and one of its servers, which stalls and cuts as it is told."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import pytest

T = TypeVar("T")


@dataclass
class Tripwire:
    """Cuts a connection once its client has said all of `words`, in that order.

    With `is_after` the server still hears the last of them, and only its answer is lost.
    """

    words: tuple[bytes, ...]
    is_after: bool
    _tripped: threading.Event = field(default_factory=threading.Event)

    @property
    def has_tripped(self) -> bool:
        return self._tripped.is_set()

    def wait_tripped(self, timeout: float = 10) -> None:
        """Return once it has cut a connection; fail the test after `timeout` seconds."""
        if not self._tripped.wait(timeout):
            pytest.fail(f"No client said {self.words!r} within {timeout:g} s.", pytrace=False)

    def trip(self) -> None:
        self._tripped.set()


@dataclass(eq=False)
class _Link:
    """One client's connection and the one that was made for it."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    heard: dict[int, int] = field(default_factory=dict)  # by tripwire: how many of its words were said
    is_deaf: bool = False  # what the server says does not arrive any more

    def abort(self) -> None:
        for writer in (self.client, self.server):
            writer.transport.abort()


class TcpProxy:
    """Passes on what it hears to `target`, a (host, port) or the path of a unix socket. Safe from any thread."""

    def __init__(self, target: tuple[str, int] | Path) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._tripwires: list[Tripwire] = []
        self._is_flowing = asyncio.Event()
        self._is_flowing.set()
        self.delay = 0.0  # seconds, before anything is passed on in either direction
        self.port = 0

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = self._run(self._listen())
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    # ── what a test does to it ──────────────────────────────────────────────────────────────────────────────
    @contextmanager
    def stalled(self) -> Iterator[None]:
        """Connections stay open and new ones are taken, and nothing arrives at either end inside the block."""
        self._loop.call_soon_threadsafe(self._is_flowing.clear)
        try:
            yield
        finally:
            self._loop.call_soon_threadsafe(self._is_flowing.set)

    def cut(self) -> None:
        """Reset every open connection; new ones are taken as before."""
        self._run(self._abort())

    def cut_at(self, *words: bytes, is_after: bool = False) -> Tripwire:
        """Reset, once, the connection whose client says these words."""
        tripwire = Tripwire(words, is_after)
        self._loop.call_soon_threadsafe(self._tripwires.append, tripwire)
        return tripwire

    # ── inside its thread ───────────────────────────────────────────────────────────────────────────────────
    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", 0)

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        await self._abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _abort(self) -> None:
        for link in list(self._links):
            link.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._connect(reader, writer)
        except (OSError, asyncio.CancelledError):
            writer.transport.abort()  # the server is not there, or the proxy ends
        finally:
            self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._is_flowing.wait()
        if isinstance(self._target, Path):
            from_server, to_server = await asyncio.open_unix_connection(str(self._target))
        else:
            from_server, to_server = await asyncio.open_connection(*self._target)
        link = _Link(writer, to_server)
        self._links.add(link)
        try:
            await asyncio.gather(self._upstream(link, reader), self._downstream(link, from_server))
        finally:
            self._links.discard(link)
            link.abort()

    async def _upstream(self, link: _Link, reader: asyncio.StreamReader) -> None:
        async for data in self._read(reader):
            tripwire = self._tripped_by(link, data)
            if tripwire is None or tripwire.is_after:
                link.is_deaf = tripwire is not None
                link.server.write(data)
                await link.server.drain()
            if tripwire is not None:
                if not tripwire.is_after:
                    link.abort()
                tripwire.trip()
        link.server.close()

    async def _downstream(self, link: _Link, reader: asyncio.StreamReader) -> None:
        async for data in self._read(reader):
            if link.is_deaf:  # it has answered, so what was asked for is done
                break
            link.client.write(data)
            await link.client.drain()
        link.client.transport.abort()

    async def _read(self, reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                await asyncio.sleep(self.delay)
                await self._is_flowing.wait()
                yield data

    def _tripped_by(self, link: _Link, data: bytes) -> Tripwire | None:
        for tripwire in self._tripwires:
            heard, start = link.heard.get(id(tripwire), 0), 0
            while heard < len(tripwire.words) and (found := data.find(tripwire.words[heard], start)) >= 0:
                heard, start = heard + 1, found + 1
            link.heard[id(tripwire)] = heard
            if heard == len(tripwire.words):
                self._tripwires.remove(tripwire)
                return tripwire
        return None
