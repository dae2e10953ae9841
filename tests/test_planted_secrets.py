"""Secrets that are planted at every entrance are found nowhere in what a command leaves behind."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import threading
import time
import traceback
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

import tagifai
from tagifai.exceptions import UserError
from tests.app import App, children

USER, PASSWORD = "planter", "pass-PLANTED_7f3a"
TOKEN = "token-PLANTED_91bc"
LONE = "lone-PLANTED_0b1c2d"
ENVIRONMENT = "env PLANTED+/4d2e"
SECRETS = (PASSWORD, TOKEN, LONE, ENVIRONMENT)

ROWS = "text,label\n" + "".join(
    f"a text about {word} number {n} and more of it,{label}\n"
    for n in range(30)
    for word, label in (("birds", "sky"), ("fishes", "sea"))
)

SMALL = (
    *("data=table", "data.name=mine", "data.text=text", "data.label=label"),
    *("vectorizer=tfidf_word", "training.epochs=2"),
)


@dataclass
class Vault:
    """A server that hands out tables to who has the credentials."""

    port: int
    files: dict[str, str]

    def url(self, name: str = "rows.csv", *, password: str = PASSWORD, token: str = TOKEN) -> str:
        """Return a URL with user info and a query."""
        return f"http://{USER}:{password}@127.0.0.1:{self.port}/{name}?access_token={token}&v=1"

    @property
    def settings(self) -> tuple[str, ...]:
        return (*SMALL, f"data.path={self.url()}")


@pytest.fixture
def vault() -> Iterator[Vault]:
    basic = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, _, query = self.path.removeprefix("/").partition("?")
            known = self.headers.get("Authorization") == basic
            allowed = known and f"access_token={TOKEN}" in query
            content = found.files.get(name, "").encode() if allowed else b""
            self.send_response(200 if content else 404 if allowed else 401)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Vault(server.server_port, {"rows.csv": ROWS})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join(timeout=10)


# --- looking for them --------------------------------------------------------------------------


def list_forms(secret: str) -> Iterator[bytes]:
    """Yield a secret as it may be written: plain, percent-encoded, in base64 at any place."""
    yield from (form.encode() for form in (secret, quote(secret, safe=""), quote_plus(secret)))
    for before in range(3):
        coded = base64.b64encode(b"x" * before + secret.encode())
        # The first and the last characters depend on what is beside it.
        yield coded[4 if before else 0 : -4]


FORMS = {form: secret for secret in SECRETS for form in list_forms(secret)}


def find_in(content: bytes) -> set[str]:
    return {secret for form, secret in FORMS.items() if form in content}


def find_below(folder: Path) -> dict[str, set[str]]:
    """Return the secrets in the files of a folder and in their names; archives are opened."""
    found = {}
    for path in folder.rglob("*"):
        secrets = find_in(str(path).encode())
        if path.is_file():
            secrets |= find_in(path.read_bytes())
            if zipfile.is_zipfile(path):
                with zipfile.ZipFile(path) as archive:
                    for member in archive.namelist():
                        secrets |= find_in(archive.read(member))
        if secrets:
            found[str(path.relative_to(folder))] = secrets
    return found


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def app(ready: Callable[[Path], App], tmp_path: Path) -> App:
    return ready(tmp_path / "app")


@pytest.fixture
def run(app: App, one_try: None) -> Command:
    """Runs a command that must end with a code and leave no secret anywhere."""

    def run(
        *arguments: str, code: int | None = 0, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        done = app.run(*arguments, env={"PLANTED_API_KEY": ENVIRONMENT, **(env or {})})
        assert code is None or done.returncode == code, done.stdout + done.stderr
        assert find_in((done.stdout + done.stderr).encode()) == set()
        assert find_below(app.folder) == {}
        return done

    return run


def test_a_planted_secret_would_be_found(tmp_path: Path) -> None:
    for number, form in enumerate(FORMS):
        (tmp_path / f"{number}.bin").write_bytes(b"\0" + form + b"\0")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x", "".join(SECRETS) * 100)
    (tmp_path / TOKEN).touch()
    found = find_below(tmp_path)
    assert len(found) == len(FORMS) + 2
    assert found["a.zip"] == set(SECRETS)


# --- what works --------------------------------------------------------------------------------


def test_a_run_and_all_that_is_done_with_it_leave_no_secret(
    run: Command, vault: Vault, app: App, tmp_path: Path
) -> None:
    noted = (
        f"+tracking.tags={{note: 'see {vault.url()}'}}",
        f"tracking.run_name='from {vault.url()} and {ENVIRONMENT}'",
    )
    shown = run(*vault.settings, *noted).stdout
    assert f"http://{USER}:***@127.0.0.1:{vault.port}/rows.csv?access_token=***&v=1" in shown
    run_id = app.run_id()
    hydra = next(app.outputs.glob("*/*/.hydra"))
    assert sorted(path.name for path in hydra.iterdir()) == [
        *("config.yaml", "hydra.yaml", "overrides.yaml"),
    ]
    assert "tracking" not in (app.bundle() / "config.yaml").read_text().split()
    run("task=elt", *vault.settings)
    run("task=compare", f"task.output={app.cwd}/board.csv")
    run("task=info")
    run("task=predict", f"task.input={vault.url()}", code=2)
    run("task=evaluate", f"task.data={vault.url()}", code=2)
    run("task=export", f"task.path={app.cwd}/model.zip")
    # From the store, where it is by its content: the server is not asked.
    vault.files.clear()
    run("task=rerun", f"task.run_id={run_id}")


def test_another_password_or_token_is_no_other_source(run: Command, vault: Vault, app: App) -> None:
    run("task=elt", *vault.settings)
    vault.files.clear()
    other = vault.url(password="other-PLANTED", token="other-PLANTED")
    assert "mine" in run("task=elt", *SMALL, f"data.path={other}").stdout


def test_a_multirun_and_a_search_leave_no_secret(run: Command, vault: Vault, app: App) -> None:
    quick = ("plots=none", f"+tracking.tags={{note: '{vault.url()}'}}")
    run("-m", "seed=1,2", *vault.settings, *quick)
    (record,) = app.outputs.glob("*/*/multirun.yaml")
    assert "***" in record.read_text()
    assert "tagifai" in record.read_text()
    search = ("sweep=quick", "hydra.sweeper.n_trials=2", "hydra/launcher=basic")
    run("-m", *search, *vault.settings, *quick)
    assert list(app.stores.glob("presets/**/*.yaml"))


def test_the_composed_configuration_is_shown_without_secrets(run: Command, vault: Vault) -> None:
    shown = run("--cfg", "job", *vault.settings).stdout
    assert f"path: http://{USER}:***@127.0.0.1:{vault.port}/rows.csv?access_token=***&v=1" in shown
    run("--cfg", "hydra", *vault.settings)
    run("--info", "all", *vault.settings)


# --- what fails --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("data.path={missing}", "404"),
        ("data.path={url} data.sha256=" + 64 * "0", "SHA-256"),
        ("data.path={lone}", "401"),
        ("data.path={away}", "could not be fetched"),
        ("data.path={url} data.label=none", "none"),
        ("data.path=ftp://planter:{password}@127.0.0.1/x", "not allowed"),
        ("data.path={url} tracking.uri={server}", "does not answer|Tracking failed"),
        ("data.path={url} objective.metric='{url}'", "objective.metric"),
        ("data.path={url} +nothing.here={url}", "nothing"),
        ("-m sweep=quick data.path={url} hydra.sweeper.storage=postgresql://{pair}/x", "cannot be"),
        ("-m seed=1,2 data.path={url} hydra/launcher=slurm_local", "there is a secret in it"),
        ("-m sweep=quick data.path={url} hydra/launcher=slurm_local", "there is a secret in it"),
        ("task=nested task.sweep=quick data.path={url}", "everybody on this machine"),
        ("data.path={url} hydra.output_subdir=x", "hydra.output_subdir"),
        ("task=predict task.text=x task.output={url}", "path on this machine"),
        ("data.path={url} data.label_names={missing}", "404"),
    ],
)
@pytest.mark.parametrize("full", ["0", "1"])
def test_what_fails_leaves_no_secret(
    run: Command, vault: Vault, setting: str, said: str, full: str, nobody: str
) -> None:
    away = nobody.replace("http://", f"http://{USER}:{PASSWORD}@") + f"/x?token={TOKEN}"
    names = {
        "url": vault.url(),
        "missing": vault.url("missing.csv"),
        "away": away,
        "server": away.partition("/x")[0],
        "password": PASSWORD,
        "pair": away.removeprefix("http://").partition("/x")[0],
        "lone": f"http://{LONE}@127.0.0.1:{vault.port}/rows.csv?access_token={TOKEN}",
    }
    words = [word.format(**names) for word in setting.split()]
    small = () if "task=predict" in words else SMALL
    done = run(*small, *words, code=None, env={"HYDRA_FULL_ERROR": full})
    assert done.returncode != 0
    assert re.search(said, done.stderr), done.stderr


def test_what_was_recorded_without_its_secret_says_what_to_give(
    run: Command, vault: Vault, app: App
) -> None:
    run(*vault.settings, "plots=none", "tracking=none")
    shutil.rmtree(app.dataset("mine"))
    said = run("task=rerun", "tracking=none", code=2).stderr
    assert "data.path: http://planter:***@127.0.0.1" in said
    assert "was recorded without its secret" in said
    # The way that it names.
    run("task=elt", *vault.settings, "tracking=none")
    vault.files.clear()
    assert "is reproduced to the last bit" in run("task=rerun", "tracking=none").stdout


# --- from Python, and in processes ---------------------------------------------------------------


def test_errors_and_representations_of_the_functions_have_no_secret(
    vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_try: None
) -> None:
    monkeypatch.setenv("TAGIFAI_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    folders = (f"paths.stores={tmp_path}/stores", f"paths.outputs={tmp_path}/outputs")
    with pytest.raises(UserError) as caught:
        tagifai.train(*SMALL, f"data.path={vault.url('gone.csv')}", "tracking=none", *folders)
    shown = "".join(traceback.format_exception(caught.value))
    assert "gone.csv?access_token=***" in shown
    assert find_in(shown.encode()) == set()
    config = tagifai.compose(*vault.settings, *folders)
    assert (find_in(repr(config).encode()), find_below(tmp_path)) == (set(), {})


@pytest.mark.e2e
def test_workers_leave_no_secret(app: App, vault: Vault) -> None:
    env = {"PLANTED_API_KEY": ENVIRONMENT}
    search = ("-m", "sweep=quick", "hydra.sweeper.n_trials=3", "plots=none")
    for words in ((), search):
        process = app.start(*words, *vault.settings, env=env)
        typed = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        seen: set[str] = set()
        while process.poll() is None:
            with suppress(OSError):  # at its very beginning it may have another one
                typed = Path(f"/proc/{process.pid}/cmdline").read_bytes()
            for child in children(process.pid):
                with suppress(OSError):
                    line = Path(f"/proc/{child}/cmdline").read_bytes()
                    # One that has just been forked has what was typed, until it has its own.
                    seen |= set() if line == typed else find_in(line)
            time.sleep(0.05)
        output = "".join(process.communicate())
        assert process.returncode == 0, output
        assert (find_in(output.encode()), seen, find_below(app.folder)) == (set(), set(), {})


@pytest.mark.e2e
def test_jobs_in_files_take_their_secret_from_the_environment(app: App, vault: Vault) -> None:
    url = vault.url(token="${oc.env:PLANTED_TOKEN}", password="${oc.env:PLANTED_PASSWORD}")
    process = app.start(
        *("-m", "seed=1,2", "hydra/launcher=slurm_local", "plots=none", "tracking=none"),
        *(*SMALL, f"data.path=['{url}']"),
        env={"PLANTED_TOKEN": TOKEN, "PLANTED_PASSWORD": PASSWORD},
    )
    output = "".join(process.communicate(timeout=240))
    assert process.returncode == 0, output
    assert list(app.outputs.rglob("*.pkl"))
    assert (find_in(output.encode()), find_below(app.folder)) == (set(), {})
