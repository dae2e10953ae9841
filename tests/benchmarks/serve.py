"""task=serve under load, beside the same model called in this process.

    uv run python -m tests.benchmarks.serve [SECONDS]

Trains on the embedded data, starts the server on the loopback device, and asks it with 1, 8 and 32
clients, each for SECONDS (5) and one text a request; then with one batch of 10,000 texts. The
clients are threads of one other process, which shares the processors with the server.
"""

from __future__ import annotations

import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import requests

import tagifai
from tests.app import App

CLIENTS = (1, 8, 32)
BATCH = 10_000
TEXT = "Detecting and tracking cars in the video of a traffic camera, number {}"


def ask(session: requests.Session, url: str, texts: list[str]) -> None:
    records = [{"text": text} for text in texts]
    answer = session.post(f"{url}/invocations", json={"dataframe_records": records}, timeout=300)
    assert len(answer.json()["predictions"]) == len(texts), answer.text


def load(call: Callable[[int], object], clients: int, seconds: float) -> np.ndarray:
    """Return the seconds that each call took, of so many clients at once."""
    taken: list[float] = []
    until = time.perf_counter() + seconds

    def client(number: int) -> None:
        while (before := time.perf_counter()) < until:
            call(number)
            taken.append(time.perf_counter() - before)

    threads = [threading.Thread(target=client, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return np.array(taken)


def show(name: str, taken: np.ndarray, seconds: float) -> None:
    p50, p99 = 1000 * np.quantile(taken, [0.5, 0.99])
    print(f"{name:<28}{len(taken) / seconds:>12.0f}{p50:>12.2f}{p99:>12.2f}")


def timed(call: Callable[[], object]) -> float:
    before = time.perf_counter()
    call()
    return time.perf_counter() - before


def main(given: str = "5") -> None:
    seconds = float(given)
    with tempfile.TemporaryDirectory() as folder:
        app = App(Path(folder))
        app.cold("console=quiet")
        before = time.perf_counter()
        server = app.start("task=serve", "task.run_id=latest", "task.port=0")
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found
            ask(requests.Session(), found[0], [TEXT])
            print(f"From start to the first answer: {time.perf_counter() - before:.1f} s\n")
            measure(app, found[0], seconds)
        finally:
            server.terminate()
            server.communicate()


def measure(app: App, url: str, seconds: float) -> None:
    tagger = tagifai.load(stores=app.stores)
    print(f"{'one text a request':<28}{'requests/s':>12}{'p50 ms':>12}{'p99 ms':>12}")
    show("in process", load(lambda n: tagger.predict([TEXT.format(n)]), 1, seconds), seconds)
    sessions = [requests.Session() for _ in range(max(CLIENTS))]
    for clients in CLIENTS:
        taken = load(lambda n: ask(sessions[n], url, [TEXT.format(n)]), clients, seconds)
        show(f"{clients} client{'s' if clients > 1 else ''}", taken, seconds)
    texts = [TEXT.format(number) for number in range(BATCH)]
    own = timed(lambda: tagger.predict(texts))
    over = timed(lambda: ask(requests.Session(), url, texts))
    print(f"\n{'one batch of 10,000 texts':<28}{'texts/s':>12}{'ratio':>12}")
    print(f"{'in process':<28}{BATCH / own:>12.0f}{1:>12.2f}")
    print(f"{'over HTTP':<28}{BATCH / over:>12.0f}{own / over:>12.2f}")


if __name__ == "__main__":
    main(*sys.argv[1:])
