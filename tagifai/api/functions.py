"""Functions: the tasks as they are called from Python, with the overrides of the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig

from tagifai import cli
from tagifai.api.isolation import PRIMARY_CONFIG, call_hydra, keep_log
from tagifai.config import paths
from tagifai.config.job import SEARCH_TARGET, get_job, strip_hydra_node, use_hydra_config
from tagifai.console import notebook
from tagifai.exceptions import ConfigError
from tagifai.runs.upkeep import used_folders

if TYPE_CHECKING:
    from tagifai.api.results import Board, Run, Search
    from tagifai.config.schema import Config

SEARCH_OVERRIDES = (
    *("hydra.mode=MULTIRUN", "hydra/sweeper=tagifai"),
    # Hydra's own logging would take the place of the caller's.
    *("hydra/hydra_logging=none", "hydra/job_logging=none"),
)
"""What makes a multirun a search that may be made in somebody else's process."""


def train(*overrides: str) -> Run:
    """Train, score and keep a run, as the command `tagifai` does.

    Nothing is shown but bars in a notebook, unless `console` is chosen: `console=default` shows
    what the command does.

    Args:
        overrides: as on the command line, each one an argument. Relative paths start at the
            working directory.

    Returns:
        The run, which is the latest from then on.

    Raises:
        UserError: what is wrong and how to put it right, in one sentence.

    Example:
        >>> columns = ["data.text=[title,body]", "data.label=stars"]
        >>> run = tagifai.train("data=table", "data.path=reviews.csv", *columns, "model=sgd")
        >>> run.scores.loc["test", "overall"].filter(like="f1").columns.tolist()
        ['f1', 'macro_f1', 'micro_f1']
        >>> run.tagger.predict("It works very well")["predicted_tag"]
        '5'
    """
    found: Run = call_hydra(_choose_console(overrides), _train)
    return found


def search(*overrides: str) -> Search:
    """Search for the best settings, as the command `tagifai -m sweep=...` does.

    The study is kept: the same search again goes on where it was.

    Args:
        overrides: as on the command line: a preset (`sweep=quick`), or values to choose from.

    Returns:
        The trials, and the best of them.

    Raises:
        UserError: the search cannot begin, or failed.

    Example:
        >>> space = "model.C=tag(log,interval(0.5,100))"
        >>> found = tagifai.search("hydra.sweeper.n_trials=2", space, "vectorizer=tfidf_word")
        >>> found.trials[["state", "val_f1"]].shape
        (2, 2)
        >>> run = tagifai.train(f"experiment={found.study}")  # the best trial's settings
    """
    found: Search = call_hydra(_choose_console(overrides), _search, flags=["-m"])
    return found


def compare(*overrides: str) -> Board:
    """Rank the tracked runs, as the command `tagifai task=compare` does, without its report.

    Args:
        overrides: as on the command line, such as "task.metric=test_f1" or "task.limit=5".

    Returns:
        The board: a notebook shows it as the command does, and its `rows` are a table.

    Raises:
        UserError: there are no such runs.

    Example:
        >>> bool(tagifai.compare("task.metric=test_f1").rows["mean"].between(0, 1).all())
        True
    """
    found: Board = call_hydra(["task=compare", *overrides], _compare)
    return found


def compose(*overrides: str) -> Config:
    """Compose a configuration and check it, as every command does first.

    Args:
        overrides: as on the command line.

    Returns:
        The whole configuration, with absolute paths.

    Raises:
        UserError: what is wrong and how to put it right, in one sentence.

    Example:
        >>> tagifai.compose("model=sgd", "seed=1").seed
        1
    """
    found: Config = call_hydra(overrides, compose_config)
    return found


# --- with Hydra --------------------------------------------------------------------------------


def _choose_console(overrides: Sequence[str]) -> Sequence[str]:
    """Return overrides that show nothing but bars in a notebook, unless something is chosen."""
    if any(str(item).startswith("console=") for item in overrides):
        return overrides
    return [f"console={'notebook' if notebook.is_kernel() else 'silent'}", *overrides]


def _train(own: Any, arguments: list[str]) -> Run:
    done: list[Run] = []
    failed: list[Exception] = []

    def run_job(cfg: DictConfig) -> None:
        try:
            done.append(_train_job(cfg))
        except Exception as error:
            # Past Hydra, which would write it to standard error.
            failed.append(error)

    own.run(PRIMARY_CONFIG, run_job, arguments, with_log_configuration=False)
    if failed:
        raise failed[0]
    return done[0]


def _train_job(cfg: DictConfig) -> Run:
    job = get_job()
    with keep_log(job.output_dir / "run.log"), cli.record_failure():
        _refuse_search(job.options.get("sweep"), job.sweeper)
        config = cli.load_config(cfg)
        _require_task(config, "train")
        paths.check_stores(config)
        used_folders.remove_earlier("train")
        from tagifai.api.results import Run
        from tagifai.tasks import train

        return Run.from_trained(train.train(config), job.output_dir, Path(config.paths.stores))


def _refuse_search(preset: str | None, sweeper: str) -> None:
    if preset or sweeper == SEARCH_TARGET:
        chosen = f"sweep={preset}" if preset else "hydra/sweeper=tagifai"
        raise ConfigError(f"{chosen} is a search: tagifai.search({chosen!r}, ...)")


def _require_task(config: Config, name: str) -> None:
    if config.task.name != name:
        raise ConfigError(
            f"task={config.task.name} is not what tagifai.{name} does. It is a command:"
            f" tagifai task={config.task.name}"
        )


def _search(own: Any, arguments: list[str]) -> Search:
    from tagifai.api.results import Search

    other = [item for item in arguments if re.match(r"hydra/sweeper=(?!tagifai$)", item)]
    if other:
        raise ConfigError(f"{other[0]}: tagifai.search has a sweeper of its own; leave it out.")
    overrides = [*arguments, *SEARCH_OVERRIDES]
    with cli.close_parent_run():
        job = partial(run_trial, os.getpid(), _list_own_functions())
        plan = own.multirun(PRIMARY_CONFIG, job, overrides, False)
        if plan is None:
            raise ConfigError("sweep.preview=true starts no search; leave it out.")
        return Search.from_plan(plan)


Registered = Sequence[tuple[Callable[[Any], Any], Sequence[Any]]]
"""Decorators, each with functions that it has registered."""


def _list_own_functions() -> Registered:
    """Return the metrics, slices and steps of the caller's, which its workers cannot know."""
    from tagifai.evaluation import metrics, slices
    from tagifai.preprocessing import cleaning

    registered: list[tuple[Callable[[Any], Any], Mapping[str, Any]]] = [
        (metrics.metric, metrics.get_registered()),
        (slices.slicing_function, slices.get_registered()),
        (cleaning.cleaning_step, cleaning.get_registered()),
    ]
    return [
        (register, [*filter(_is_own, functions.values())]) for register, functions in registered
    ]


def _is_own(function: Any) -> bool:
    """Return whether a function is of a notebook or script, or of a module that can be imported."""
    package = function.__module__.partition(".")[0]
    importable = PathFinder.find_spec(package) is not None
    return package == "__main__" or (package != "tagifai" and importable)


def run_trial(owner: int, registered: Registered, cfg: DictConfig) -> Any:
    """Run a trial of a search, in the caller's process or in one that a launcher has begun.

    Args:
        owner: the caller's process, whose signals are left alone.
        registered: of the caller's own.
        cfg: composed.
    """
    for register, functions in registered:
        for function in functions:
            register(function)
    with keep_log(get_job().output_dir / "run.log"):
        if os.getpid() != owner:
            return cli.run_job(cfg)
        with cli.record_failure():
            return cli.run_task(cfg)


def _compare(own: Any, arguments: list[str]) -> Board:
    from tagifai.api.results import Board
    from tagifai.tasks import compare

    config = compose_config(own, arguments)
    _require_task(config, "compare")
    boards = compare.compare(config)[1]
    return Board.from_leaderboards(boards, config.task.metric)


def compose_config(_own: Any, arguments: list[str]) -> Config:
    """Return the checked configuration of overrides, with Hydra at work: see `call_hydra`."""
    cfg = hydra.compose(PRIMARY_CONFIG, arguments, return_hydra_config=True)
    with use_hydra_config(cfg):
        return cli.load_config(strip_hydra_node(cfg))
