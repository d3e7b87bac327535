"""Twenty people at once on one server: how long each waits, and what the server's memory does.

    python benchmarks/page_load.py DATA

DATA holds ravdess/. The page is served on two cores. Each visitor speaks to it as a browser does,
over HTTP and the page's websocket, but draws nothing; all upload a clip of their own, four seconds
long, at the same moment. A visitor waits from the start of the upload until the answer arrives, and
until everything has: all charts, all pictures. Each answer has to be the one that the classifier
gives of that very clip. New visitors come in each round, with clips that the server has not seen.

Beside it stands the same with one visitor at a time, in as many rounds: what the page takes alone,
on the same machine at the same time. Before them a real browser (Chromium) comes as often, each
time as if it had never been there: when does it draw anything, when the place for recordings?

Linux only. Writes benchmarks/results/page_load.json.
"""

import argparse
import contextlib
import io
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import psutil  # noqa: E402
import requests  # noqa: E402
import soundfile  # noqa: E402
from playwright.sync_api import sync_playwright  # noqa: E402
from streamlit.proto.BackMsg_pb2 import BackMsg  # noqa: E402
from streamlit.proto.ClientState_pb2 import ClientState  # noqa: E402
from streamlit.proto.Common_pb2 import (  # noqa: E402
    FileUploaderState,
    FileURLs,
    FileURLsRequest,
    UploadedFileInfo,
)
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg  # noqa: E402
from streamlit.proto.WidgetStates_pb2 import WidgetState, WidgetStates  # noqa: E402
from tqdm import tqdm  # noqa: E402
from websockets.sync.client import connect  # noqa: E402

import audio  # noqa: E402
import corpora  # noqa: E402
from classifier import EmotionClassifier  # noqa: E402
from views import text  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results" / "page_load.json"
SECONDS = 4
CORES = 2
UPLOADER = "-upload-0"  # what the name of the page's main uploader ends in
PATIENCE = 120  # seconds, after which a visitor gives up
REST = 3  # seconds after a round, before memory is read


class Clip(NamedTuple):
    """A recording and what the page has to say of it."""

    name: str
    content: bytes
    answer: str


class Wait(NamedTuple):
    """Seconds until a new page was shown, the answer was, and everything about it was."""

    opened: float
    answered: float
    complete: float


@dataclass
class Group:
    """Visitors at once, how long each waited, and how long the server's cores worked for them."""

    visitors: int
    waits: list[Wait] = field(default_factory=list)
    busy: float = 0.0


def main() -> int:
    """Let visitors come and write the results file."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path, help="folder that holds ravdess")
    parser.add_argument("--visitors", type=int, default=20, help="at once (default: 20)")
    parser.add_argument("--rounds", type=int, default=10, help="(default: 10)")
    arguments = parser.parse_args()
    visitors, rounds = arguments.visitors, arguments.rounds

    clips = draw(arguments.data / "ravdess", 1 + rounds * (1 + visitors))
    load_before = os.getloadavg()[0]
    with serve() as (address, server):
        visit(address, [next(clips)])  # loads the model and compiles what is compiled
        browser = draw_page(address, rounds)
        memory = [resident(server)]
        groups = {"alone": Group(1), "crowd": Group(visitors)}
        for _ in tqdm(range(rounds), unit="round"):
            for group in groups.values():
                before = busy(server)
                group.waits += visit(address, [next(clips) for _ in range(group.visitors)])
                group.busy += busy(server) - before
            time.sleep(REST)
            memory.append(resident(server))
    content = {
        "clip_seconds": SECONDS,
        "server_cores": CORES,
        "machine": {"cores": os.cpu_count(), "load_before": round(load_before, 2)},
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("streamlit", "altair", "numpy", "ai-edge-litert")},
        },
        "rounds": rounds,
        "browser": browser,
        **{name: summary(group) for name, group in groups.items()},
        "server_memory_mb": memory,
    }
    RESULTS.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(report(content))
    return 0


def draw(ravdess: Path, count: int) -> Iterator[Clip]:
    """Yield clips of RAVDESS, cut or filled with silence to `SECONDS`, no two the same."""
    model = EmotionClassifier.load(ROOT / "model" / "frames")
    try:
        table = corpora.scan(ravdess)
    except corpora.CorpusError as error:
        sys.exit(str(error))
    for path in table.path[np.random.default_rng(0).permutation(len(table))[:count]]:
        waveform = np.zeros(SECONDS * audio.SAMPLE_RATE, np.float32)
        voice = audio.load(path)[: len(waveform)]
        waveform[: len(voice)] = voice
        file = io.BytesIO()
        soundfile.write(file, waveform, audio.SAMPLE_RATE, format="WAV")
        content = file.getvalue()
        yield Clip(
            Path(path).with_suffix(".wav").name, content, text.details(model.classify(content))
        )


@contextlib.contextmanager
def serve() -> Iterator[tuple[str, int]]:
    """Serve the page on `CORES` cores; yield its address and the process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "streamlit", "run", "app.py", f"--server.port={port}"]
    server = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    os.sched_setaffinity(server.pid, range(CORES))
    address = f"http://localhost:{port}"
    try:
        for _ in range(5 * PATIENCE):
            with contextlib.suppress(OSError):
                requests.get(f"{address}/_stcore/health", timeout=5)
                break
            time.sleep(0.2)
        yield address, server.pid
    finally:
        server.terminate()
        server.wait()


def draw_page(address: str, times: int) -> dict[str, dict[str, float]]:
    """Return the seconds until a new browser draws anything, and the place for recordings."""
    first, usable = [], []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for _ in range(times):
            context = chromium.new_context()  # with nothing in its cache
            page = context.new_page()
            start = time.perf_counter()
            page.goto(address)
            page.get_by_test_id("stFileUploader").first.wait_for()
            usable.append(time.perf_counter() - start)
            paint = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            first.append(page.evaluate(paint) / 1000)
            context.close()
        chromium.close()
    return {"first_paint": shares(first), "usable": shares(usable)}


def visit(address: str, clips: list[Clip]) -> list[Wait]:
    """Let one visitor per clip open the page and, when all have, upload it."""
    ready = threading.Barrier(len(clips))
    with ThreadPoolExecutor(len(clips)) as pool:
        return list(pool.map(lambda clip: Visitor(address).come(clip, ready), clips))


class Visitor:
    """The browser's side of one visit, in Streamlit's protocol."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._http = requests.Session()
        # As a browser, ask again where the server has closed a connection that was idle.
        self._http.mount("http://", requests.adapters.HTTPAdapter(max_retries=3))
        self._http.get(f"{address}/_stcore/health", timeout=PATIENCE)  # sets the cookie
        self._session = self._uploader = ""
        self._brought: list[FileURLs] = []

    def come(self, clip: Clip, ready: threading.Barrier) -> Wait:
        """Open the page, wait for the others, upload the clip and read what comes back."""
        with self.page() as opened:
            ready.wait()
            return Wait(opened, *self.ask(clip))

    @contextlib.contextmanager
    def page(self) -> Iterator[float]:
        """Open the page; yield the seconds that took."""
        stream = f"{self._address.replace('http', 'ws', 1)}/_stcore/stream"
        with connect(stream, subprotocols=["streamlit"], max_size=None) as self._socket:
            start = time.perf_counter()
            self._send(rerun_script=ClientState())
            self._read(until=_finished, see=self._notice)
            yield time.perf_counter() - start

    def ask(
        self, clip: Clip, *, see: Callable[[ForwardMsg], None] = lambda _: None
    ) -> tuple[float, float]:
        """Upload a clip; return the seconds until its answer is shown, and until all is.

        Args:
            clip: what is asked about.
            see: as in `bring`.
        """
        start = time.perf_counter()
        name, answer = clip.name.encode(), clip.answer.encode()
        answered: list[float] = []

        def look(message: ForwardMsg) -> None:
            see(message)
            drawn = message.delta.SerializeToString()
            if name in drawn and answer in drawn:
                answered.append(time.perf_counter() - start)

        self.bring([clip], see=look)
        if not answered:
            raise RuntimeError(f"{clip.name}: '{clip.answer}' was expected, and not shown")
        return answered[0], time.perf_counter() - start

    def bring(self, clips: list[Clip], *, see: Callable[[ForwardMsg], None]) -> None:
        """Upload clips in the place of those before, and look at all that is shown until the end.

        Args:
            clips: they are heard one after the other.
            see: is shown each message of the server.
        """
        for old in self._brought:
            place = f"{self._address}{old.delete_url}"
            self._http.delete(place, headers=self._headers(), timeout=PATIENCE)
        self._upload(clips)
        self._read(until=_finished, see=see)

    def _notice(self, message: ForwardMsg) -> None:
        """Remember what the server calls the session and the uploader."""
        self._session = message.new_session.initialize.session_id or self._session
        uploader = message.delta.new_element.file_uploader.id
        if uploader.endswith(UPLOADER):
            self._uploader = uploader

    def _upload(self, clips: list[Clip]) -> None:
        """Ask where to, put the files there, and run the page with them."""
        names = [clip.name for clip in clips]
        wish = FileURLsRequest(request_id="1", file_names=names, session_id=self._session)
        self._send(file_urls_request=wish)
        self._brought = []
        self._read(
            until=lambda message: message.HasField("file_urls_response"),
            see=lambda message: self._brought.extend(message.file_urls_response.file_urls),
        )
        files = []
        for clip, place in zip(clips, self._brought, strict=True):
            self._http.put(
                f"{self._address}{place.upload_url}",
                files={clip.name: (clip.name, clip.content, "audio/wav")},
                headers=self._headers(),
                timeout=PATIENCE,
            ).raise_for_status()
            size = len(clip.content)
            files.append(
                UploadedFileInfo(name=clip.name, size=size, file_id=place.file_id, file_urls=place)
            )
        state = FileUploaderState(uploaded_file_info=files)
        widget = WidgetState(id=self._uploader, file_uploader_state_value=state)
        self._send(rerun_script=ClientState(widget_states=WidgetStates(widgets=[widget])))

    def _headers(self) -> dict[str, str]:
        return {"X-Xsrftoken": self._http.cookies["_streamlit_xsrf"]}

    def _send(self, **field: Any) -> None:
        self._socket.send(BackMsg(**field).SerializeToString())

    def _read(
        self, *, until: Callable[[ForwardMsg], bool], see: Callable[[ForwardMsg], None]
    ) -> None:
        while True:
            message = ForwardMsg.FromString(self._socket.recv(timeout=PATIENCE))
            see(message)
            if until(message):
                return


def _finished(message: ForwardMsg) -> bool:
    return (
        message.HasField("script_finished")
        and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY
    )


def resident(process: int) -> int:
    """Return the memory that a process holds, in MB."""
    return psutil.Process(process).memory_info().rss // 2**20


def busy(process: int) -> float:
    """Return the seconds that cores have worked for a process, all of them together."""
    return sum(psutil.Process(process).cpu_times()[:2])


def summary(group: Group) -> dict[str, Any]:
    """Return median and 95th percentile of each wait, and the work per visit, in seconds."""
    columns = zip(Wait._fields, zip(*group.waits, strict=True), strict=True)
    waits = {name: shares(column) for name, column in columns}
    work = round(group.busy / len(group.waits), 3)
    return {"visitors": group.visitors, **waits, "cpu_per_visit": work}


def shares(seconds: Sequence[float]) -> dict[str, float]:
    """Return median and 95th percentile."""
    return dict(zip(("p50", "p95"), np.percentile(seconds, (50, 95)).round(3), strict=True))


def report(content: dict[str, Any]) -> str:
    """Return the figures as a table for the terminal."""
    lines = [
        f"{'seconds until':18} opened        answer        complete      work per visit",
        f"{'':18}" + "  p50   p95   " * 3,
    ]
    for name in ("alone", "crowd"):
        figures = content[name]
        cells = "".join(
            f"{figures[f]['p50']:5.2f} {figures[f]['p95']:5.2f}   " for f in Wait._fields
        )
        lines.append(f"{figures['visitors']:4} at once      {cells}{figures['cpu_per_visit']:5.2f}")
    for name, figures in content["browser"].items():
        lines.append(f"a new browser: {name:12} {figures['p50']:5.2f} {figures['p95']:5.2f}")
    memory = content["server_memory_mb"]
    lines.append(
        f"server memory: {memory[0]} MB before, {', '.join(map(str, memory[1:]))} MB after"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
