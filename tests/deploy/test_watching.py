"""What Prometheus makes of our metrics and rules, and that all web processes of a machine count as one."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from tests.deploy.test_systemd import ready
from tests.deploy.units import ROOT, command
from tests.journeys.seeded import copy_sqlite
from tests.services import children
from tests.services.processes import Processes

RULES = ROOT / "deploy" / "prometheus"
TOKEN = "a-token-that-nobody-guesses-in-a-hundred-years"
LOGIN = ("admin:login", "GET", "2xx")


def promtool(*words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    if shutil.which("promtool") is None:
        children.unavailable("There is no promtool: install Debian's prometheus.")
    return subprocess.run(
        ["promtool", *words], input=text, capture_output=True, text=True, cwd=RULES, timeout=60, check=False
    )


# ── rules ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("words", [("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")])
def test_the_alarms_are_read_and_ring_when_they_should(words: tuple[str, ...]) -> None:
    done = promtool(*words)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alarm_is_seen_ringing_and_silent() -> None:
    [group] = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    ringing, silent = set(), set()
    for case in yaml.safe_load((RULES / "alerts_test.yml").read_text())["tests"]:
        expected = [str(moment["exp_samples"]) for moment in case["promql_expr_test"]]
        names = set(re.findall(r'alertname="(\w+)"', "".join(expected)))
        ringing |= names
        silent |= {name for name in names if not all(name in moment for moment in expected)}
    assert ringing == silent == {rule["alert"] for rule in group["rules"]}


# ── requests, counted by several processes ──────────────────────────────────────────────────────────────────────────


class Node:
    """A web node of two processes; who answers is decided by letting the others stand still."""

    def __init__(self, processes: Processes) -> None:
        self.processes = processes
        processes.env |= {"METRICS_TOKEN": TOKEN, "GUNICORN_CMD_ARGS": "--workers 2 --timeout 0"}
        self.port = children.free_port()
        words = [word.replace("127.0.0.1:8000", f"127.0.0.1:{self.port}") for word in command("due-notice-web.service")]
        processes.start("web", "-m", "gunicorn", *words[1:])
        processes.wait_until(partial(ready, f"127.0.0.1:{self.port}"), 60, "the node was ready")

    def workers(self) -> set[int]:
        master = self.processes.pid("web")
        return set(children.session_members(master)) - {master}

    def ask(self, worker: int, path: str, method: str = "GET") -> str:
        others = self.workers() - {worker}
        children.signal_all(others, signal.SIGSTOP)
        try:
            children.wait_until(
                lambda: {children.state_of(other) for other in others} <= {"T"}, timeout=60, what="others stood still"
            )
            connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
            connection.request(method, path, headers={"Authorization": f"Bearer {TOKEN}"})
            answer = connection.getresponse().read().decode()
            connection.close()
            return answer
        finally:
            children.signal_all(others, signal.SIGCONT)

    def counts(self, worker: int) -> dict[tuple[str, ...], float]:
        return {
            tuple(sample.labels[name] for name in ("view", "method", "status")): sample.value
            for family in text_string_to_metric_families(self.ask(worker, "/metrics"))
            for sample in family.samples
            if sample.name == "due_notice_request_seconds_count"
        }

    def folders(self) -> list[Path]:
        return list(Path(self.processes.env["RUNTIME_DIRECTORY"]).glob("due-notice-*"))


def test_whoever_answers_tells_what_all_have_counted_also_those_that_were_killed(
    processes: Processes, migrated_sqlite: Path
) -> None:
    copy_sqlite(migrated_sqlite, processes)
    node = Node(processes)
    first, second = node.workers()
    for worker in (first, first, second):
        node.ask(worker, "/admin/login/")
    node.ask(first, "/admin/incidents/incident/4711/change/?q=ceo@northwind.test")
    node.ask(second, "/notice/not-a-key-of-anybody/")
    node.ask(second, "/Northwind/ceo@northwind.test", "BREW")
    expected = {
        LOGIN: 3,
        ("admin:incidents_incident_change", "GET", "3xx"): 1,
        ("incidents:acknowledge", "GET", "4xx"): 1,
        ("-", "other", "4xx"): 1,
    }
    assert node.counts(first) == node.counts(second) == expected

    os.kill(first, signal.SIGKILL)
    processes.wait_until(lambda: len(node.workers() - {first, second}) == 1, 60, "another took its place")
    [third] = node.workers() - {first, second}
    node.ask(third, "/admin/login/")
    assert node.counts(second) == node.counts(third) == expected | {LOGIN: 4}

    [folder] = node.folders()
    assert folder.stat().st_mode & 0o077 == 0, "nobody else reads it"
    assert len(list(folder.iterdir())) == 2, "the new process goes on in the file of the killed one"
    text = node.ask(second, "/metrics")
    checked = promtool("check", "metrics", text=text)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    assert processes.stop("web") == 0
    assert node.folders() == []
