"""On a real Dask scheduler with two worker processes, each behind a port of this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pytest
import soundfile
from conftest import NOISY, extract, speechlike

import test_model
import workers
from audio import SAMPLE_RATE

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals are sent as POSIX knows them")


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    """Start a part of a cluster in a folder of its own, as on a machine of its own."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    with (folder / f"{arguments[0]}.log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments, "--no-dashboard"],
            cwd=folder,
            env=os.environ
            | {"PYTHONPATH": paths, "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"},
            stdout=log,
            stderr=log,
        )


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory) -> Iterator[str]:
    """The address of a scheduler with two workers."""
    folder = tmp_path_factory.mktemp("cluster")
    file = folder / "scheduler.json"
    options = ["--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file)]
    parts = [start(folder, "scheduler", *options)]
    while not file.exists():
        assert parts[0].poll() is None, (folder / "scheduler.log").read_text()
        time.sleep(0.05)
    address = json.loads(file.read_text())["address"]
    options = ["--nthreads", "1", "--local-directory", str(folder)]
    parts += [start(folder, "worker", address, *options) for _ in range(2)]
    try:
        with workers._backend(1, address) as config:
            config["backend"].client.wait_for_workers(2, timeout=60)
        yield address
    finally:
        for part in parts:
            for process in [*psutil.Process(part.pid).children(recursive=True), part]:
                process.kill()
            part.wait()


def processes_at_work(address: str) -> list[int]:
    with workers._backend(1, address) as config:
        return [*config["backend"].client.run(os.getpid).values()]


def where_it_ran(_: int) -> int:
    return os.getpid()


def kill_at_7(number: int) -> int:
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**2


@pytest.fixture
def clips(tmp_path) -> Path:
    """A hundred short recordings, one of them broken."""
    folder = tmp_path / "clips"
    (folder / "sad").mkdir(parents=True)
    soundfile.write(folder / "voice.wav", speechlike(0.6), SAMPLE_RATE)
    for number in range(98):
        os.link(folder / "voice.wav", folder / "sad" / f"{number:03}.wav")
    (folder / "broken.wav").write_bytes(b"no sound")
    return folder


def test_a_worker_killed_in_mid_run_costs_no_rows(scheduler, clips, tiny_model, tmp_path):
    command = [sys.executable, ROOT / "test_model.py", os.path.relpath(clips), clips.as_uri()]
    command += ["--model", tiny_model, "--output"]
    victim = psutil.Process(processes_at_work(scheduler)[0])
    running = subprocess.Popen(
        [*command, tmp_path / "cluster.csv", "--scheduler", scheduler],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    running.stdout.readline()
    victim.kill()
    assert running.poll() is None
    out, err = running.communicate()
    assert running.returncode == 1, err
    assert "198 of 200 files classified. 2 files with an error." in out
    assert "Traceback" not in err
    subprocess.run([*command, tmp_path / "here.csv", "--jobs", "1"], capture_output=True)
    assert (tmp_path / "cluster.csv").read_text() == (tmp_path / "here.csv").read_text()


def test_the_work_is_done_by_all_workers_and_not_here(scheduler):
    ran = {process for _, process in workers.stream(where_it_ran, range(200), scheduler=scheduler)}
    assert ran == set(processes_at_work(scheduler))


def test_an_item_that_kills_its_worker_twice_costs_no_other(scheduler):
    found = [*workers.stream(kill_at_7, range(40), scheduler=scheduler)]
    assert found == [(number, None if number == 7 else number**2) for number in range(40)]


def test_features_for_training_are_those_of_this_machine(scheduler, corpus, tmp_path):
    there = extract(corpus, tmp_path / "there", [(), NOISY], scheduler=scheduler)
    here = extract(corpus, tmp_path / "here", [(), NOISY])
    for copy in (0, 1):
        np.testing.assert_array_equal(there.vectors(copy), here.vectors(copy))
    pd.testing.assert_frame_equal(there.table, here.table)


def test_a_worker_with_another_model_is_said(scheduler, clips, tiny_model, capsys, monkeypatch):
    monkeypatch.setattr(test_model, "_version", lambda _: "another")
    arguments = [str(clips), "--model", str(tiny_model), "--scheduler", scheduler]
    assert test_model.main(arguments) == test_model.WRONG_USAGE
    said = capsys.readouterr()
    assert "is another model on" in said.err
    assert "Traceback" not in said.err


def test_no_cluster_and_no_dask_are_said(monkeypatch):
    for address, message in {
        "tcp://127.0.0.1:9": "no Dask scheduler answers at tcp://127.0.0.1:9",
        "nonsense": "an address such as tcp://127.0.0.1:8786 is expected",
    }.items():
        monkeypatch.setattr("cluster.CONNECT_SECONDS", 0.2)
        with pytest.raises(workers.ClusterError, match=message):
            next(workers.stream(where_it_ran, [1], scheduler=address))
    monkeypatch.setitem(sys.modules, "cluster", None)
    with pytest.raises(workers.ClusterError, match="pip install 'dask"):
        next(workers.stream(where_it_ran, [1], scheduler="tcp://127.0.0.1:9"))


def test_a_scheduler_that_has_gone_is_said(scheduler):  # the last test: no cluster is left
    with workers._backend(1, scheduler) as config:
        process = config["backend"].client.run_on_scheduler(os.getpid)
    stream = workers.stream(where_it_ran, range(10**9), scheduler=scheduler)
    next(stream)
    psutil.Process(process).kill()
    with pytest.raises(workers.ClusterError, match="has gone"):
        list(stream)
