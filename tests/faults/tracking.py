"""A kind of fault: a tracking server that refuses, hangs, cuts, lies, or dies and comes back."""

from __future__ import annotations

import signal
import sqlite3
from contextlib import closing
from functools import cache
from urllib.request import urlopen

from tests.faults.place import Place
from tests.faults.trial import Trial
from tests.servers import FAULTS, PASS, MlflowServer, Plan, Proxy

RUNS = {"train": 1, "multirun": 3}
"""Runs that a command records, a multirun's parent among them."""

MOST_REQUESTS = 60
"""Of a training, about; a fault after them is none."""


def disturb_server(trial: Trial) -> None:
    """Record to a server that misbehaves, then send the rest to one that is well again."""
    place, chance = trial.place, trial.chance
    proxy = _serve(place)
    proxy.plan = lambda number, request: PASS
    before = _read_statuses(place)
    name = chance.choice(["train", "train", "multirun"])
    uri = f"tracking.uri={proxy.url}"
    proxy.asked.clear()
    away = chance.random() < 0.25
    if away:
        _leave(trial, name, proxy, uri)
    else:
        proxy.plan = _plan(trial, name)
        trial.take(trial.start(name, more=(uri,)).end(), (0, 3))
    proxy.plan = lambda number, request: PASS
    if chance.random() < 0.3:
        _kill_sync(trial, uri)
    trial.take(place.follow("task=sync", uri), (0,))
    new = {run: status for run, status in _read_statuses(place).items() if run not in before}
    if [*new.values()] != ["FINISHED"] * RUNS[name]:
        trial.faults.append(f"the server has {new}, not {RUNS[name]} finished runs")
    left = [path.name for path in place.app.stores.glob("pending/[!.]*")]
    if left:
        trial.faults.append(f"not sent: {left}")


def _plan(trial: Trial, name: str) -> Plan:
    """Return which of the requests fail: one, some, or all from a certain one on."""
    fault = trial.chance.choice(FAULTS)
    first = trial.chance.choice([0, trial.chance.randint(1, MOST_REQUESTS)])
    count = trial.chance.choice([1, 5, 10_000])
    trial.say(f"{name} with the server's {fault} of {count} requests from number {first} on")
    return lambda number, _: fault if first <= number < first + count else PASS


def _leave(trial: Trial, name: str, proxy: Proxy, uri: str) -> None:
    """Have the server go during a command, and come back or not before its end."""
    _, seconds = trial.commands[name]
    moment = trial.chance.choice([0.0, trial.chance.random() * seconds * trial.place.pace])
    away = trial.chance.choice([0.5, 2.0, 60.0])
    trial.say(f"{name} with a server that goes after {moment:.2f} s for {away} s")
    started = trial.start(name, more=(uri,))
    started.wait(moment)
    proxy.stop()
    started.wait(away)
    ended = started.end() if away == 60 else None
    proxy.start()
    trial.take(ended or started.end(), (0, 3))


def _kill_sync(trial: Trial, uri: str) -> None:
    started = trial.start("sync", more=(uri,))
    moment = trial.chance.random() * 2 * trial.place.pace
    trial.say(f"kill -9 of sync after {moment:.2f} s")
    started.wait(moment)
    started.send(signal.SIGKILL)
    trial.take(started.end(), (0, -9))


@cache
def _serve(place: Place) -> Proxy:
    """Start the server that all tries have, and the proxy before it."""
    folder = place.folder / "server"
    folder.mkdir()
    database = folder / "mlflow.db"
    made = place.folder / "giver" / "stores" / "mlflow.db"
    with closing(sqlite3.connect(made)) as old, closing(sqlite3.connect(database)) as new:
        old.backup(new)
    server = MlflowServer(database, folder / "artifacts")
    place.stack.callback(server.kill)
    server.start()
    asked = f"{server.url}/api/2.0/mlflow/experiments/get?experiment_id=0"
    urlopen(asked, timeout=60).close()  # the first one opens its database
    proxy = Proxy(server.url)
    place.stack.callback(proxy.stop)
    return proxy


def _read_statuses(place: Place) -> dict[str, str]:
    """Return the status of each run that the server has."""
    with closing(sqlite3.connect(place.folder / "server" / "mlflow.db")) as database:
        return dict(database.execute("SELECT run_uuid, status FROM runs").fetchall())
