"""Fixtures that several modules share."""

from __future__ import annotations

import gc
import os
import platform
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock
from hypothesis import settings

from tests.app import App, children
from tests.databases import make_studies
from tests.showcase import Showcase

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from tagifai.models.tagger import Tagger

settings.register_profile("project", deadline=None, database=None)
settings.load_profile("project")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # As it is in what a script has put into the background; what the tests start would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # as it is below nohup

# As where the environment is active: `python` is the one that runs the tests.
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])

platform.processor()  # asks another program, and MLflow asks for it; once is enough

gc.set_threshold(100_000)  # as in the application; the libraries alone are a million objects

STARTS = {"subprocess.Popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.exec", "os.system"}
"""What Python tells its auditors when a process is begun."""


class _Guarded:
    active = False


def _refuse_process(event: str, _: object) -> None:
    # At exit there is nothing left of this module.
    if _Guarded is not None and _Guarded.active and event in STARTS:
        pytest.fail(f"A test that is not marked e2e begins a process ({event}).")


sys.addaudithook(_refuse_process)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, Any, Any]:
    """Keep the fast level free of processes."""
    _Guarded.active = item.get_closest_marker("e2e") is None
    try:
        return (yield)
    finally:
        _Guarded.active = False


def pytest_collection_finish() -> None:
    """Have the collector leave alone what is loaded by now, and stays."""
    gc.freeze()


@pytest.fixture(autouse=True)
def _childless(request: pytest.FixtureRequest) -> Iterator[None]:
    """Notice the processes that a library begins without telling Python's auditors."""
    before = set(children(os.getpid()))
    yield
    if request.node.get_closest_marker("e2e") is None:
        assert set(children(os.getpid())) <= before, (
            "A test that is not marked e2e leaves processes."
        )


SLOWEST = (
    *("test_search", "test_api", "test_launching", "test_import_cost", "test_search_processes"),
    *("test_faults", "test_full_disks", "test_sync", "test_first_starts"),
    *("test_guides", "test_readme", "test_multirun", "test_train_processes"),
    *("test_wheel", "test_own_data", "test_streamed_data", "test_train", "test_composition"),
    *("test_predict", "test_serve", "test_promote", "test_records", "test_vectorizer_model_pairs"),
)
"""Modules that take longest; begun first, so that no process waits for another's at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


CONF = Path(__file__).parent.parent / "conf"

TEXTS = ("Images with convolutions", "A graph of nodes", "The words of a language") * 4
TAGS = ("cv", "graph", "nlp") * 4

DOCUMENTS = {
    "config.yaml": "seed: 42\n",
    "performance.json": '{"f1": 0.5}\n',
    "provenance.json": "{}\n",
    "splits.json": "{}\n",
}
"""The text files that every bundle has."""


def fitted(seed: int = 0) -> Tagger:
    """Return a small tagger; the same seed gives the same one in any process."""
    from numpy.random import RandomState
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import SGDClassifier

    from tagifai.models.tagger import Tagger
    from tagifai.preprocessing.labels import LabelEncoder

    encoder = LabelEncoder.fit(TAGS)
    vectorizer = TfidfVectorizer(analyzer="char", ngram_range=(1, 3))
    model = SGDClassifier(loss="log_loss", random_state=RandomState(seed))
    model.fit(vectorizer.fit_transform([text.lower() for text in TEXTS]), encoder.encode(TAGS))
    cleaning = {"lower": True, "separate_punctuation": False, "keep": None}
    return Tagger(cleaning, vectorizer, model, encoder, 0.4, "cv")


@pytest.fixture(scope="session")
def tagger() -> Tagger:
    return fitted()


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all processes of the tests."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


@pytest.fixture(scope="session")
def migrated(shared: Path) -> Path:
    """A tracking database without experiments of ours; making one takes seconds."""
    from tagifai.tracking import databases

    path = shared / "mlflow.db"
    with FileLock(shared / "mlflow.lock"):
        if not path.exists():
            databases.make_database(f"sqlite:///{path}.new")
            Path(f"{path}.new").rename(path)
    return path


@pytest.fixture(scope="session")
def ready(migrated: Path) -> Callable[[Path], App]:
    """A function that gives an application in a folder, with its databases made."""

    def make(folder: Path) -> App:
        app = App(folder)
        app.stores.mkdir(parents=True)
        shutil.copyfile(migrated, app.stores / "mlflow.db")
        make_studies(app.stores / "studies.db")
        return app

    return make


@pytest.fixture(scope="session")
def showcase(shared: Path, ready: Callable[[Path], App]) -> Showcase:
    """Stores that are made once for all processes of the tests, to be copied."""
    (shared / "showcase").mkdir(exist_ok=True)
    return Showcase(shared / "showcase", ready)


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start processes without measuring their coverage, which takes as long again."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)


@pytest.fixture
def tracked_stores(
    migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Path]:
    """A folder of stores with a tracking database; the environment is as it was afterwards."""
    before = dict(os.environ)
    for name in ("TRACKING_URI", "EXPERIMENT_NAME", "EXPERIMENT_ID"):
        monkeypatch.delenv(f"MLFLOW_{name}", raising=False)
    stores = tmp_path / "stores"
    stores.mkdir()
    shutil.copyfile(migrated, stores / "mlflow.db")
    yield stores
    for name in os.environ.keys() - before.keys():
        del os.environ[name]


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a port that is taken and not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@dataclass
class Site:
    """A web server on the loopback device, what it has, and what it was asked for."""

    server: ThreadingHTTPServer
    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{name}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            name = self.path.removeprefix("/")
            made.asked.append(name)
            content = made.files.get(name)
            self.send_response(200 if content is not None else 404)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, format: str, *args: Any) -> None:
            pass

    made = Site(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield made
    made.stop()
    thread.join(timeout=10)
    assert not thread.is_alive()


@pytest.fixture
def one_try(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the seconds that are waited between tries of a download."""
    from tagifai.data import downloads

    monkeypatch.setattr(downloads, "RETRIES", 0)


@pytest.fixture
def composed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Compose]:
    """A function that composes the project's configuration from overrides."""
    from hydra import compose, initialize_config_dir

    monkeypatch.setenv("TAGIFAI_ROOT", str(tmp_path))
    monkeypatch.delenv("TAGIFAI_STORES", raising=False)
    with initialize_config_dir(str(CONF)):
        yield lambda *overrides: compose("config", overrides=list(overrides))


Compose = Callable[..., "DictConfig"]
