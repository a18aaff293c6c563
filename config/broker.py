"""The embedded broker: kombu's file transport, with messages that appear whole or not at all.

The library's own writes a message after it has become visible. A worker that looks in between reads an empty file, and
dies of it. Here a message is written aside and renamed, which the operating system does in one step.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from typing import Any

from kombu.transport import filesystem
from kombu.utils.json import dumps, loads


class Channel(filesystem.Channel):
    """Messages are files `<time>_<id>.<queue>.msg`; whoever renames one has it."""

    def _put(self, queue: str, payload: dict[str, Any], **kwargs: Any) -> None:  # type: ignore[override]  # as kombu does
        folder = Path(self.data_folder_out)
        # The clock of the machine, not of the process: messages are read in the order of their names.
        name = f"{uuid.uuid1().time:020d}_{uuid.uuid4()}.{queue}.msg"
        aside = folder / f"{name}.writing"
        aside.write_text(dumps(payload))
        aside.rename(folder / name)

    def _get(self, queue: str, timeout: float | None = None) -> Any:
        folder = Path(self.data_folder_in)
        for name in sorted(os.listdir(folder)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            mine = folder / f"{name}.{os.getpid()}.taken"
            try:
                (folder / name).rename(mine)
            except FileNotFoundError:
                continue  # another worker was quicker
            content = mine.read_text()
            mine.unlink()
            return loads(content)
        raise Empty

    def get_table(self, exchange: str) -> Any:
        with self._tables_locked():
            return super().get_table(exchange)

    def _queue_bind(self, *args: Any) -> None:
        with self._tables_locked():
            super()._queue_bind(*args)

    @contextmanager
    def _tables_locked(self) -> Iterator[None]:
        """One process at a time: the library empties a table before it locks it."""
        self.control_folder.mkdir(parents=True, exist_ok=True)
        with (self.control_folder / "tables.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class Transport(filesystem.Transport):
    """`filesystem://` as config/celery.py registers it."""

    Channel = Channel
