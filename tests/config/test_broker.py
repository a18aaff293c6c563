"""The embedded broker under several writers and readers at once."""

from __future__ import annotations

import multiprocessing
import threading
from pathlib import Path

from kombu import Connection, Consumer, Message, Queue

from config import broker, celery

WRITERS, READERS, EACH = 4, 2, 200
QUEUE = Queue("work", routing_key="work")


def connect(folder: Path) -> Connection:
    options = {
        "data_folder_in": str(folder / "messages"),
        "data_folder_out": str(folder / "messages"),
        "control_folder": str(folder / "control"),
        "polling_interval": 0.001,
    }
    return Connection("filesystem://", transport_options=options)


def write(folder: Path, number: int) -> None:
    with connect(folder) as connection, connection.Producer() as producer:
        for count in range(EACH):
            body = {"number": number * EACH + count, "padding": "x" * 2000}
            producer.publish(body, exchange=QUEUE.exchange, routing_key="work", declare=[QUEUE], serializer="json")


def test_it_is_the_one_that_celery_uses() -> None:
    assert isinstance(celery.app.connection_for_write().transport, broker.Transport)


def test_every_message_arrives_once_and_whole_with_many_writers_and_readers(tmp_path: Path) -> None:
    for name in ("messages", "control"):
        (tmp_path / name).mkdir()
    received: list[int] = []
    failures: list[BaseException] = []
    is_over = threading.Event()

    def take(body: dict[str, int], message: Message) -> None:
        received.append(body["number"])
        message.ack()
        if len(received) == WRITERS * EACH:
            is_over.set()

    def read() -> None:
        with connect(tmp_path) as connection, Consumer(connection, [QUEUE], callbacks=[take], accept=["json"]):
            while not is_over.is_set():
                try:
                    connection.drain_events(timeout=0.2)
                except TimeoutError:
                    continue
                except Exception as error:  # noqa: BLE001 - whatever it is, a worker would have died of it
                    failures.append(error)
                    is_over.set()

    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write, args=(tmp_path, number)) for number in range(WRITERS)]
    readers = [threading.Thread(target=read) for _number in range(READERS)]
    for reader in readers:
        reader.start()
    for writer in writers:
        writer.start()
    assert is_over.wait(60)
    for writer in writers:
        writer.join(20)
    for reader in readers:
        reader.join(20)
    assert failures == []
    assert sorted(received) == list(range(WRITERS * EACH))
