"""Whatever is done with local data, nothing is asked of another machine."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, make_corpus, wait_for

#: Python runs this at the start of each process, and of those that it starts: what would leave the
#: machine is written down and refused.
GUARD = """
import os
import sys

HERE = ("", "localhost", "127.0.0.1", "::1", "0.0.0.0")

def refuse(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        host = args[1][0] if isinstance(args[1], tuple) else ""  # or a socket of this machine
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = args[0] or ""
    else:
        return
    if host not in HERE:
        with open(os.environ["ASKED_OUTSIDE"], "a") as log:
            log.write(f"{event} {host} by {sys.argv}\\n")
        raise OSError(f"{host} is not this machine")

sys.addaudithook(refuse)
"""

VISIT = """
from streamlit.testing.v1 import AppTest

page = AppTest.from_file("app.py", default_timeout=120).run()
next(button for button in page.button if (button.key or "").startswith("example-")).click()
page.run()
assert not page.exception
assert page.main.get("vega_lite_chart"), "no answer on the page"
"""

TRAINING = """
import pathlib
import sys
import train

if __name__ == "__main__":
    train.CACHE = pathlib.Path({folder!r}, "cache")
    train.RESULTS = pathlib.Path({folder!r}, "results")
    sys.exit(train.main({options!r}))
"""


@pytest.fixture
def guarded(tmp_path) -> tuple[dict[str, str], Path]:
    """The environment of a guarded process, and the file with what it asked of others."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    log = tmp_path / "asked.txt"
    paths = os.pathsep.join([str(tmp_path / "guard"), str(ROOT)])
    return os.environ | {"PYTHONPATH": paths, "ASKED_OUTSIDE": str(log)}, log


def run(command: list[str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_the_guard_sees_what_a_process_and_its_child_ask(guarded) -> None:
    environment, log = guarded
    ask = "import socket; socket.create_connection(('192.0.2.1', 9), 1)"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {ask!r}])"
    run(["-c", child], environment)
    assert "192.0.2.1" in log.read_text()


def test_the_command_and_a_training_ask_nobody(guarded, tmp_path) -> None:
    environment, log = guarded
    corpus = make_corpus(tmp_path / "mine", speakers=4, clips=2)
    run(["test_model.py", str(corpus), "--jobs", "2", "--report", str(tmp_path / "r")], environment)
    model = tmp_path / "model"
    options = ["--data", corpus, "--network", "vector", "--epochs", 1, "--jobs", 1]
    options += ["--evaluate", "none", "--output", model]
    run(["-c", TRAINING.format(folder=str(tmp_path), options=list(map(str, options)))], environment)
    assert (model / "manifest.json").is_file()
    run(["test_model.py", str(corpus), "--model", str(model), "--segments"], environment)
    assert not log.exists(), log.read_text()


def test_the_page_asks_nobody(guarded, tmp_path) -> None:
    environment, log = guarded
    run(["-c", VISIT], environment)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = tmp_path / "said.txt"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
    with said.open("w") as output:
        server = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            wait_for(f"http://127.0.0.1:{port}", server, said)
        finally:
            server.terminate()
            server.wait(timeout=60)
    assert not log.exists(), log.read_text()
