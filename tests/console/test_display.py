from __future__ import annotations

import io
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tagifai.config.schema.settings import ConsoleConfig as Settings
from tagifai.console import progress
from tagifai.console.display import Display
from tagifai.console.progress import SearchProgress
from tagifai.evaluation.intervals import METHOD
from tagifai.evaluation.metrics import Performance, Scores
from tagifai.reporting.run_summary import show_scores
from tests import terminals

LISTENED_TO = """
import sys
from tagifai.console.display import Display
from tagifai.reporting.run_summary import show_scores

shown = Display(quiet=False, plain=True, every=1)
with shown.show_epoch_progress(10) as show:
    show(0, 1.0, 2.0)
    sys.stdout.flush()
    sys.stdin.readline()
    for epoch in range(1, 10):
        show(epoch, 1.0, 2.0)
names = ("precision", "recall", "f1", "num_samples")
show_scores(shown, "Test", {"overall": dict.fromkeys(names, 1), "class": {}, "slices": {}}, [])
shown.show_result("x" * 100_000)
sys.stdout.flush()
sys.stderr.write("trained")
"""


class Terminal(io.StringIO):
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    monkeypatch.setattr("tagifai.console.display.sys", SimpleNamespace(stdout=made))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return made


def seen(terminal: Terminal, columns: int = 60) -> list[str]:
    """The lines that are left on a terminal."""
    written = terminal.getvalue().replace("\n", "\r\n")
    return terminals.shown(terminals.rendered(written, columns))


def display(quiet: bool = False, plain: bool = False, every: int = 10) -> Display:
    return Display(quiet=quiet, plain=plain, every=every)


def scores(value: float, samples: int) -> Scores:
    return {"precision": value, "recall": value, "f1": value, "num_samples": samples}


def performance(**slices: Scores) -> Performance:
    return {
        "overall": scores(0.5, 6),
        "class": {"cv": scores(0.25, 4), "nlp": scores(1.0, 2)},
        "slices": slices,
    }


def show_all(shown: Display) -> None:
    shown.show_header("train", {"model": ("sgd", {"alpha": 1e-4})})
    shown.show_line("a line", style="yellow")
    with shown.show_epoch_progress(2) as show:
        show(0, 1.0, 2.0)
        show(1, 0.5, 1.5)
    show_scores(shown, "Test", performance(), ["f1"])
    shown.show_result("a result")


# --- the display -------------------------------------------------------------------------------


def test_away_from_a_terminal_there_are_no_control_characters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = display()
    show_all(shown)
    captured = capsys.readouterr()
    assert not shown.live
    assert "\x1b" not in captured.out
    assert "\r" not in captured.out
    assert captured.err == ""


def test_plain_lines_are_plain_on_a_terminal_too(terminal: Terminal) -> None:
    shown = display(plain=True)
    show_all(shown)
    assert not shown.live
    assert "\x1b" not in terminal.getvalue()
    assert "Epoch 1 | train_loss 0.50000 | val_loss 1.50000\n" in terminal.getvalue()


def test_on_a_terminal_there_are_bars_and_colours(terminal: Terminal) -> None:
    shown = display()
    show_all(shown)
    assert shown.live
    assert "\x1b[" in terminal.getvalue()
    assert "2/2" in terminal.getvalue()
    assert "val_loss 1.50000" in terminal.getvalue()
    assert "Epoch 1 |" not in terminal.getvalue()


def test_quiet_leaves_out_all_but_results(capsys: pytest.CaptureFixture[str]) -> None:
    shown = display(quiet=True)
    shown.show_header("train", {"model": ("sgd", {})})
    shown.show_line("a line")
    with shown.show_epoch_progress(1) as show:
        show(0, 1.0, 1.0)
    assert capsys.readouterr().out == ""
    shown.show_result("a result")
    assert capsys.readouterr().out == "a result\n"
    show_scores(shown, "Test", performance(), ["f1"])
    assert "overall (weighted)" in capsys.readouterr().out


def test_silent_leaves_out_results_too(capsys: pytest.CaptureFixture[str]) -> None:
    shown = Display(quiet=False, plain=False, every=1, silent=True)
    show_all(shown)
    shown.show_table("t", ["a", "b"], [["1", "2"]])
    with shown.show_trial_progress(2) as tell:
        tell(SearchProgress(1, 0, 0, 0, event="Trial 0 complete"))
    assert capsys.readouterr() == ("", "")


def test_silent_shows_nothing_on_a_terminal_and_is_not_live(terminal: Terminal) -> None:
    for shown in (
        Display.from_config(Settings(), silent=True),
        Display.from_config(Settings(verbosity="silent")),
    ):
        show_all(shown)
        shown.show_result("a result")
        assert not shown.live
    assert terminal.getvalue() == ""


def test_quiet_draws_no_bars_on_a_terminal(terminal: Terminal) -> None:
    assert not display(quiet=True).live


@pytest.mark.parametrize(
    ("settings", "quiet", "live"),
    [
        (Settings(), False, True),
        (Settings(verbosity="quiet"), True, False),
        (Settings(verbosity="silent"), True, False),
        (Settings(style="plain"), False, False),
    ],
)
def test_the_console_group_describes_the_display(
    terminal: Terminal, settings: Settings, quiet: bool, live: bool
) -> None:
    shown = Display.from_config(settings)
    shown.show_line("a line")
    assert (terminal.getvalue() == "") is quiet
    assert shown.live is live


@pytest.mark.parametrize(
    ("every", "total", "told"),
    [(1, 3, [0, 1, 2]), (2, 5, [0, 2, 4]), (2, 4, [0, 2, 3]), (10, 3, [0, 2]), (10, 1, [0])],
)
def test_plain_lines_come_every_so_many_epochs_and_after_the_last(
    capsys: pytest.CaptureFixture[str], every: int, total: int, told: list[int]
) -> None:
    with display(every=every).show_epoch_progress(total) as show:
        for epoch in range(total):
            show(epoch, 0.123456, 2.0)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"Epoch {epoch} | train_loss 0.12346 | val_loss 2.00000" for epoch in told]


@pytest.mark.parametrize(
    ("every", "ends_after", "told"), [(10, 13, [0, 10, 12]), (10, 11, [0, 10]), (3, 3, [0, 2])]
)
def test_the_last_epoch_is_told_wherever_patience_ends_the_training(
    capsys: pytest.CaptureFixture[str], every: int, ends_after: int, told: list[int]
) -> None:
    with display(every=every).show_epoch_progress(100) as show:
        for epoch in range(ends_after):
            show(epoch, 1.0, 2.0)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"Epoch {epoch} | train_loss 1.00000 | val_loss 2.00000" for epoch in told]


def test_a_training_without_epochs_tells_of_none(capsys: pytest.CaptureFixture[str]) -> None:
    with display().show_epoch_progress(3):
        pass
    assert capsys.readouterr().out == ""


@pytest.mark.e2e
def test_a_reader_that_goes_away_does_not_end_a_training() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LISTENED_TO],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            assert process.stdout.readline().startswith("Epoch 0 |")
            process.stdout.close()
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.wait(timeout=30) == 0
        finally:
            process.kill()
        assert process.stderr.read() == "trained"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "1.0"), (1, "1"), (1e-5, "1e-05"), (0.1 + 0.2, "0.30000000000000004"), (0.0, "0.0"),
     (100000.0, "100000.0"), (True, "True"), ([1.0, 2], "[1.0, 2]"), ((1, 1.5), "[1, 1.5]")],
)  # fmt: skip
def test_values_are_shown_as_they_are(
    capsys: pytest.CaptureFixture[str], value: object, shown: str
) -> None:
    display().show_header("t", {"vectorizer": (None, {"max_df": value})})
    assert capsys.readouterr().out.splitlines()[1] == f"vectorizer     max_df={shown}"


def test_the_header_names_groups_options_and_values_and_leaves_out_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    display().show_header(
        "tagifai train",
        {
            "model": ("sgd", {"alpha": 1e-5, "power_t": None, "shuffle": True}),
            "sampling": ("none", {}),
            "training": (None, {"epochs": 100}),
            "preprocessing": ("default", {"stopwords": ["a"] * 179, "tags": ["a", "b"]}),
        },
    )
    assert capsys.readouterr().out.splitlines() == [
        "tagifai train",
        "model          sgd           alpha=1e-05, shuffle=True",
        "sampling       none",
        "training       epochs=100",
        "preprocessing  default       stopwords=[179 items], tags=[a, b]",
    ]


def test_the_header_is_as_wide_as_its_longest_name_and_option_within_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    groups: dict[str, Any] = {
        "hydra/sweeper/sampler": ("a_sampler_of_ones_own", {"seed": 1}),
        "model": ("sgd", {"alpha": 1}),
        "n" * 40: ("o", {"p": 2}),
        "space": ("choice " * 30, {}),
    }
    display().show_header("t", groups)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].index("a_sampler") == lines[2].index("sgd") == lines[4].index("choice") == 30
    assert lines[1].index("seed=1") == lines[2].index("alpha=1") == 53
    assert lines[3].startswith("n" * 40 + "  o ")


def test_lists_of_up_to_six_items_and_values_of_up_to_60_characters_are_shown_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = {"six": list("abcdef"), "seven": list("abcdefg")}
    long = {"short": "x" * 60, "long": "a" * 30 + "b" * 31}
    display().show_header("t", {"one": (None, values), "two": (None, long)})
    shown = capsys.readouterr().out
    assert "six=[a, b, c, d, e, f], seven=[7 items]" in shown
    assert f"short={'x' * 60}" in shown
    assert f"long={'a' * 24}…a{'b' * 31}" in shown


def test_a_long_line_is_not_broken_away_from_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = "word " * 60
    display().show_line(text)
    display().show_result(text)
    assert capsys.readouterr().out == f"{text}\n{text}\n"


def test_what_looks_like_markup_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    display().show_line("[bold]x[/bold] [1, 2] :smile:")
    assert capsys.readouterr().out == "[bold]x[/bold] [1, 2] :smile:\n"
    scored = performance()
    scored["class"] = {"[red]": scores(0.5, 1)}
    show_scores(display(), "Test", scored, ["f1"])
    assert "[red]" in capsys.readouterr().out


def test_the_table_has_a_row_a_class_then_the_whole_then_a_row_a_slice_that_tells_something(
    capsys: pytest.CaptureFixture[str],
) -> None:
    slices = {"short_text": scores(0.125, 10), "long": scores(1.0, 9), "odd": scores(0.0, 1)}
    show_scores(display(), "Test, threshold 0.5", performance(**slices), ["accuracy"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines if line.strip(" ─━")][:6] == [
        ["Test,", "threshold", "0.5"],
        ["precision", "recall", "f1", "rows"],
        ["cv", "0.25", "0.25", "0.25", "4"],
        ["nlp", "1.00", "1.00", "1.00", "2"],
        ["overall", "(weighted)", "0.50", "0.50", "0.50", "6"],
        ["slice", "short_text", "0.12", "0.12", "0.12", "10"],
    ]
    assert lines[-1] == (
        "Not shown: 2 slices of fewer than 10 rows, too few to tell: long (9), odd (1)."
    )


def test_metrics_have_their_interval_a_baseline_and_the_digits_that_the_rows_carry(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scored = performance()
    scored["overall"] = scores(0.87654, 10_000)
    scored["metrics"] = {"accuracy": 0.5, "log_loss": 0.123456}
    bounds = {"accuracy": (0.49, 0.51), "f1": (0.87, 0.88)}
    scored["intervals"] = {"method": METHOD, "resamples": 1000, "bounds": bounds}
    scored["baseline"] = {"label": "cv", "metrics": {"accuracy": 0.3, "f1": 0.25}}
    show_scores(display(), "Test", scored, ["accuracy", "log_loss", "ece", "f1"])
    out = capsys.readouterr().out
    lines = [line.split() for line in out[out.index("Metrics") :].splitlines()]
    assert [line for line in lines if line and "─" not in line[0]] == [
        ["Metrics", "of", "all", "rows"],
        ["value", "95", "%", "interval", "baseline"],
        ["accuracy", "0.5000", "0.4900", "to", "0.5100", "0.3000"],
        ["log_loss", "0.1235", "-", "-"],
        ["f1", "0.8765", "0.8700", "to", "0.8800", "0.2500"],
        ["Interval:", "bootstrap", "over", "rows,", "95", "%."],
    ]


def test_of_many_classes_the_table_has_the_lowest_and_the_highest_and_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    scored = performance()
    scored["class"] = {f"class-{number}": scores(number / 200, 9) for number in range(151)}
    show_scores(display(), "Test", scored, [])
    out = capsys.readouterr().out
    shown = [int(number) for number in re.findall("^class-([0-9]+) ", out, re.M)]
    assert shown == [*range(10), *range(141, 151)]
    assert (
        "Classes: the 20 classes of 151 that have the lowest and the highest F1; performance.json"
        " has all." in out
    )


def test_without_slices_the_table_ends_with_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    show_scores(display(), "Test", performance(), ["f1"])
    assert "slice" not in capsys.readouterr().out


# --- searches ----------------------------------------------------------------------------------


def state(event: str = "", **changed: Any) -> SearchProgress:
    counts = {"done": 0, "running": 0, "pruned": 0, "failed": 0}
    return SearchProgress(**{**counts, **changed}, event=event)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, []),
        ({"done": 3}, []),
        ({"running": 2}, ["2 running"]),
        ({"best": "best 0.5 (trial 1)", "running": 1, "pruned": 2, "failed": 3},
         ["best 0.5 (trial 1)", "1 running", "2 pruned", "3 failed"]),
    ],
)  # fmt: skip
def test_of_a_search_what_there_is_is_said_and_what_there_is_not_is_left_out(
    changed: dict[str, Any], said: list[str]
) -> None:
    assert state(**changed).summarize() == said


@pytest.mark.parametrize(
    ("seconds", "done", "left"),
    [
        (None, 0, []),
        (2.0, 10, []),
        (2.0, 12, []),
        (2.0, 5, ["about 10 s left"]),
        (12.0, 5, ["about 60 s left"]),
        (12.34, 0, ["about 2 min left"]),
        (0.01, 9, ["about 0 s left"]),
        (720.0, 0, ["about 2.0 h left"]),
    ],
)
def test_the_time_that_is_left_is_that_of_the_trials_that_are_left(
    seconds: float | None, done: int, left: list[str]
) -> None:
    assert state(seconds_per_trial=seconds, done=done).format_time_left(10) == left


def test_a_plain_line_tells_what_has_happened_and_where_the_search_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with display().show_trial_progress(3) as tell:
        tell(state("Trial 0 done", done=1, running=1, best="best 0.5 (trial 0)",
                   seconds_per_trial=31.0))  # fmt: skip
        tell(state("Trial 1 failed", done=2, failed=1))
        tell(state("Trial 2 pruned", done=3, failed=1, pruned=1, seconds_per_trial=31.0))
    assert capsys.readouterr().out.splitlines() == [
        "Trial 0 done | 1 of 3 done, best 0.5 (trial 0), 1 running, about 62 s left",
        "Trial 1 failed | 2 of 3 done, 1 failed",
        "Trial 2 pruned | 3 of 3 done, 1 pruned, 1 failed",
    ]


def test_a_plain_line_is_said_once_and_never_where_nothing_has_happened(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with display().show_trial_progress(2) as tell:
        tell(state())
        for running in (1, 0):
            tell(state("Trial 0 pruned", done=1, pruned=1, running=running))
        tell(state())
    assert capsys.readouterr().out == "Trial 0 pruned | 1 of 2 done, 1 running, 1 pruned\n"


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Work that takes as long as the line that is said of it; set when there is such a line."""
    monkeypatch.setattr(progress, "SECONDS_OF_SILENCE", 0.0)
    said = threading.Event()
    show = Display.show_line

    def tell(self: Display, text: str, style: str = "") -> None:
        show(self, text, style)
        said.set()

    monkeypatch.setattr(Display, "show_line", tell)
    return said


def test_work_that_takes_long_is_a_line_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str], patient: threading.Event
) -> None:
    with display().show_spinner("Loading runs"):
        assert patient.wait(60)
    with display(quiet=True).show_spinner("Loading runs"):
        pass
    with display().show_spinner("Loading libraries", at_once=True):
        assert capsys.readouterr().out == "Loading runs\nLoading libraries\n"


def test_a_table_has_no_blanks_at_the_ends_of_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    display().show_table("Names", ["n", "name"], [["1", "long enough"], ["22", "b"]])
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["Names", " n  name", "─" * len("22  long enough")]
    assert lines[3:] == [" 1  long enough", "22  b", ""]


@pytest.mark.parametrize(("silent", "terminal"), [(False, True), (False, False), (True, True)])
def test_where_only_results_are_shown_who_waits_at_a_terminal_is_told_why(
    monkeypatch: pytest.MonkeyPatch, silent: bool, terminal: bool
) -> None:
    monkeypatch.setattr(progress, "SECONDS_OF_SILENCE", 0.0)
    output, errors = io.StringIO(), Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", errors)
    shown = Display(quiet=True, plain=False, every=1, silent=silent)
    until = time.monotonic() + (60 if terminal and not silent else 0.1)
    with shown.show_spinner("Loading libraries"):
        while not errors.getvalue() and time.monotonic() < until:
            time.sleep(0.01)
    assert output.getvalue() == ""
    assert errors.getvalue() == ("Loading libraries\n" if terminal and not silent else "")


def test_steps_and_a_search_without_an_event_are_lines_from_time_to_time(
    capsys: pytest.CaptureFixture[str], patient: threading.Event
) -> None:
    with display().show_step_progress("Figure", 2) as show:
        assert patient.wait(60)
        show(1, "a")
        show(2, "b")
    with display().show_trial_progress(3) as tell:
        tell(state(running=2))
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["Figure 1 of 2", "Figure 2 of 2", "0 of 3 done, 2 running"]


def test_work_that_takes_no_time_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with display().show_spinner("Loading runs"), display().show_step_progress("Figure", 9) as show:
        show(1, "a")
    assert capsys.readouterr().out == ""


def test_a_quiet_search_says_nothing_before_its_results(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with display(quiet=True).show_trial_progress(1) as tell:
        tell(state("Trial 0 complete", done=1))
    assert capsys.readouterr().out == ""
    display(quiet=True).show_table("Best", ["trial", "parameters"], [["0", "a=1"]])
    assert "a=1" in capsys.readouterr().out


def test_a_search_on_a_terminal_has_a_bar_and_no_lines(terminal: Terminal) -> None:
    with display().show_trial_progress(4) as tell:
        tell(state("Trial 0 complete", done=1, running=2, best="best 0.5 (trial 0)"))
        tell(state("Trial 1 pruned", done=2, running=1, pruned=1, best="best 0.5 (trial 0)"))
    shown = terminal.getvalue()
    assert "\x1b[" in shown
    assert "2/4" in shown
    assert "best 0.5 (trial 0) · 1 running · 1 pruned" in shown
    assert "Trial 1 pruned" not in shown


def test_a_bar_of_a_search_that_fails_is_taken_down(terminal: Terminal) -> None:
    with pytest.raises(ValueError, match="no"), display().show_trial_progress(4):
        raise ValueError("no")
    assert "\x1b[?25h" in terminal.getvalue()  # the cursor is back
    assert seen(terminal) == [""]


# --- tables ------------------------------------------------------------------------------------


def rows_of(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines() if line.strip(" ─━")]


def test_a_table_has_a_title_its_columns_and_a_line_a_row(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [["3", "0.9", "model.alpha=1"], ["12", "0.85", "model.alpha=2"]]
    display().show_table("The best 2", ["trial", "val_f1", "parameters"], rows)
    output = capsys.readouterr().out
    assert rows_of(output) == [["The", "best", "2"], ["trial", "val_f1", "parameters"], *rows]
    lines = output.splitlines()
    # Numbers end where their column does, the last column begins where its title does.
    header = next(line for line in lines if "parameters" in line)
    three, twelve = (next(line for line in lines if f"alpha={n}" in line) for n in (1, 2))
    assert three.index("3") == twelve.index("2 ")
    assert header.index("parameters") == three.index("model") == twelve.index("model")
    assert "\x1b" not in output


def test_columns_of_one_name_all_stand_in_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    left_out = display().show_table("Board", ["n", "run", "n"], [["1", "a", "2"]], texts={1})
    assert [line.split() for line in capsys.readouterr().out.splitlines()[1::2]] == [
        ["n", "run", "n"],
        ["1", "a", "2"],
    ]
    assert left_out == []


def test_a_table_without_rows_has_its_columns(capsys: pytest.CaptureFixture[str]) -> None:
    display().show_table("None", ["trial", "parameters"], [])
    assert rows_of(capsys.readouterr().out) == [["None"], ["trial", "parameters"]]


def test_a_table_may_have_one_column(capsys: pytest.CaptureFixture[str]) -> None:
    display().show_table("One", ["parameters"], [["a"], ["b"]])
    assert rows_of(capsys.readouterr().out) == [["One"], ["parameters"], ["a"], ["b"]]


def test_what_looks_like_markup_in_a_table_is_shown_as_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    display().show_table("t", ["trial", "parameters"], [["1", "keep=[bold]a[/bold] :smile:"]])
    assert "keep=[bold]a[/bold] :smile:" in capsys.readouterr().out


def test_long_parameters_are_folded_and_nothing_of_them_is_lost(terminal: Terminal) -> None:
    long = ", ".join(f"model.parameter_{n}={n}" for n in range(8))
    display().show_table("t", ["trial", "val_f1", "parameters"], [["1", "0.12345678", long]])
    lines = terminal.getvalue().splitlines()
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines) <= 60
    words = "".join(terminal.getvalue().split())
    for n in range(8):
        assert f"model.parameter_{n}={n}" in words
    assert "0.12345678" in words


# --- columns of texts, and of numbers ----------------------------------------------------------

COLUMNS = ("model", "model.alpha", "mean", "seconds", "size")
ROWS = (
    ("sgd", "0.1", "0.5000", "1.0 s", "1 MB"),
    ("sgd_huber", "0.25", "0.2500", "22.0 s", "2 MB"),
)


def widest(text: str) -> int:
    return max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in text.splitlines())


def test_a_table_has_texts_to_the_left_and_numbers_to_the_right(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert display().show_table("Best", COLUMNS, ROWS, texts={0, 1}, optional=["size"]) == []
    output = capsys.readouterr().out
    assert rows_of(output) == [["Best"], [*COLUMNS], *(" ".join(row).split() for row in ROWS)]
    header, first = (next(x for x in output.splitlines() if word in x) for word in ("mean", "sgd"))
    assert header.index("model.alpha") == first.index("0.1")
    assert header.index("seconds") + len("seconds") == first.index("1.0 s") + len("1.0 s")
    assert "\x1b" not in output


def test_a_row_of_empty_texts_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    display().show_table("t", ["a", "b"], [["1", "x"], ["", ""], ["2", "y"]])
    lines = capsys.readouterr().out.splitlines()
    assert [set(line) <= {*" ─"} for line in lines] == [
        False,
        False,
        True,
        False,
        True,
        False,
        True,
    ]


def test_columns_that_may_be_left_out_are_so_until_the_rest_fits(terminal: Terminal) -> None:
    # 60 columns: one of the two has to go.
    rows = [["sgd_huber", "0." + "1" * 26, *ROWS[0][2:]]]
    left_out = display().show_table(
        "t", COLUMNS, rows, texts={0, 1}, optional=["none", "size", "seconds"]
    )
    assert left_out == ["size"]
    assert widest(terminal.getvalue()) <= 60
    assert "seconds" in terminal.getvalue()


def test_columns_that_may_be_left_out_are_so_before_rows_have_more_than_two_lines(
    terminal: Terminal,
) -> None:
    # Of 60 columns the size leaves two words a line; without it there is room for four.
    told = " ".join(f"setting{n}=1" for n in range(7))
    columns, rows = ["mean", "settings", "size", "seconds"], [["0.5", told, "1" * 18, "1.0"]]
    left_out = display().show_table("t", columns, rows, texts={1}, optional=["size", "seconds"])
    assert left_out == ["size"]
    assert len([line for line in seen(terminal) if "setting" in line]) == 3  # and the heading


def test_names_of_texts_are_folded_at_dots_where_there_is_no_room(terminal: Terminal) -> None:
    columns = ["vectorizer.max_features", "training.early.patience", "mean", "a figure"]
    display().show_table(
        "t", columns, [["1" * 12, "2" * 12, "0.5000", "0.123456789"]], texts={0, 1}
    )
    assert widest(terminal.getvalue()) <= 60
    assert "1" * 12 in terminal.getvalue()
    assert {"training.", "early.", "patience"} <= {*OWN.sub("", terminal.getvalue()).split()}


def test_a_table_without_room_is_a_list_and_nothing_of_it_is_lost(terminal: Terminal) -> None:
    columns = [f"model.parameter_{n}" for n in range(9)]
    rows = [[f"[b]one{n}[/b]" for n in range(9)], [f"0.12345678{n}" for n in range(9)]]
    assert display().show_table("t", columns, rows, optional=["none"]) == []
    lines = seen(terminal)
    for row in rows:
        for name, cell in zip(columns, row, strict=True):
            assert f"{name}  {cell}" in lines


# The widths that such a table of texts took by itself: a long word of one, prose of the other.
@pytest.mark.parametrize("columns", range(46, 100, 6))
def test_of_several_texts_no_word_is_broken_at_any_width(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    prose, word = "words of a sentence that goes on and on " * 4, "incomprehensibilities"
    display().show_table("t", ["a", "b", "c"], [[prose, word, "0.123456"]], texts={0, 1})
    written = OWN.sub("", terminal.getvalue())
    assert widest(written) <= columns
    assert all(text in written.split() for text in (*prose.split(), word, "0.123456"))


# --- widths ------------------------------------------------------------------------------------

WIDTHS = (60, 80, 140)
LONG = "outputs/2026-11-22/07-42-16.793593-train/" + "a-folder-of-a-long-name/" * 5


def show_everything(shown: Display) -> None:
    """Show what tasks show, with what is long in it, but nothing that is to be copied."""
    settings = {f"parameter_{number}": "x" * 30 for number in range(6)}
    shown.show_header("tagifai train", {"model": ("sgd", settings), "space": ("choice " * 30, {})})
    shown.show_fact("Data", "897 rows, 4 classes (" + "natural-language-processing 354, " * 5)
    shown.show_note("a doubt that takes more words than there are columns, " * 3)
    shown.show_result("a result that takes more words than there are columns, " * 3)
    with shown.show_epoch_progress(2, 10) as show:
        show.update_rows(5)
        show(0, 1.0, 2.0)
    scored = performance(short_text=scores(0.125, 30))
    scored["class"]["natural-language-processing"] = scores(0.5, 6)
    known = {"accuracy": 0.5, "balanced_accuracy": 0.25}
    bounds = {"accuracy": (0.25, 0.75), "f1": (0.5, 1.0)}
    scored["metrics"] = known
    scored["intervals"] = {"method": METHOD, "resamples": 1000, "bounds": bounds}
    scored["baseline"] = {"label": "natural-language-processing", "metrics": known}
    show_scores(
        shown,
        "Run 5e044bce476b4541b43b707f6b3eb4bf: test at threshold 0.5084, refitted",
        scored,
        ["accuracy", "balanced_accuracy", "f1"],
    )
    shown.show_table(
        "Best", ["trial", "val_f1", "parameters"], [["1", "0.5", "model.alpha=1, " * 10]]
    )
    shown.show_table(
        "What differs", ["recorded", "now", ""], [["a" * 36, "b" * 36, "metric val_f1"]]
    )
    shown.show_table("Rank", COLUMNS, ROWS, texts={0, 1}, optional=["size"])


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_line_is_longer_than_the_terminal_is_wide(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("NO_COLOR", "1")
    show_everything(display())
    assert widest(terminal.getvalue()) <= columns


@pytest.mark.parametrize("columns", WIDTHS)
def test_no_word_and_no_figure_is_broken(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    show_everything(display())
    text = "\n".join(seen(terminal, columns))
    for whole in (
        "computer",
        "classes",
        "0.12",
        "0.5000",
        "0.25 to 0.75",
        "rows",
        "model.alpha=1,",
    ):
        assert whole in text.replace("nlp", "computer"), whole


@pytest.mark.parametrize("columns", WIDTHS)
def test_what_is_to_be_copied_is_in_one_piece(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    display().show_copyable("Predict", f"python run.py task=predict {LONG}")
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    # One that does not fit beside its name begins where the line does.
    assert lines == ["Predict:", f"python run.py task=predict {LONG}"]


def test_what_is_to_be_copied_is_beside_its_name_where_it_fits(terminal: Terminal) -> None:
    display().show_copyable("Report", "report.html")
    assert seen(terminal) == ["Report:        report.html"]


def test_a_line_that_is_folded_goes_on_below_its_beginning(terminal: Terminal) -> None:
    display().show_fact("Data", "word " * 12)
    assert seen(terminal) == [
        "Data:          word word word word word word word word word",
        "               word word word",
    ]


def test_a_header_ends_where_the_terminal_does_and_what_was_asked_for_comes_first(
    terminal: Terminal,
) -> None:
    settings = {"loss": "log_loss", "penalty": "l2", "alpha": 0.5, "eta0": 0.1, "shuffle": True}
    display().show_header("t", {"model": ("sgd", settings)}, ["model.alpha", "model", "other.loss"])
    assert seen(terminal)[1] == "model          sgd           alpha=0.5 · loss=log_loss, pen…"


def test_away_from_a_terminal_a_header_and_a_fact_are_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    shown = display()
    shown.show_header("t", {"model": ("sgd", {"a": "x" * 60, "b": "y" * 60})})
    shown.show_fact("Data", "word " * 40)
    shown.show_copyable("Report", LONG)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("y" * 60)
    assert lines[2] == "Data:          " + "word " * 40
    assert lines[3] == f"Report:        {LONG}"


# --- colours and control characters ------------------------------------------------------------


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_without_colours_gets_lines_without_control_characters(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    shown = display()
    show_everything(shown)
    with shown.show_spinner("Loading"), shown.show_step_progress("Figure", 2) as tell:
        tell(1, "losses")
    assert not shown.live
    assert [c for c in terminal.getvalue() if ord(c) < 32 and c != "\n"] == []
    assert "Epoch 0 |" in terminal.getvalue()


def test_an_empty_no_color_is_none(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    assert display().live


# --- what is left behind -----------------------------------------------------------------------


def test_of_progress_nothing_is_left_but_how_the_training_ended(terminal: Terminal) -> None:
    shown = display()
    with shown.show_spinner("Loading"), shown.show_row_progress("Reading") as told:
        told(5, 10)
    with shown.show_epoch_progress(3) as show:
        show(0, 1.0, 2.0)
        show(1, 0.5, 1.5)
    with shown.show_step_progress("Figure", 2) as tell, shown.show_trial_progress(2) as state_is:
        tell(2, "losses")
        state_is(state("Trial 0 done", done=1))
    assert seen(terminal) == ["Epochs:        2 of 3, train_loss 0.50000, val_loss 1.50000"]


def interrupted_in_an_epoch(shown: Display) -> None:
    with shown.show_epoch_progress(3) as show:
        show(0, 1.0, 2.0)
        shown._console.file.write("^C")  # as the terminal does
        raise KeyboardInterrupt


def interrupted_in_a_row(shown: Display) -> None:
    with shown.show_row_progress("Reading") as told:
        told(5)
        raise KeyboardInterrupt


@pytest.mark.parametrize("training", [interrupted_in_an_epoch, interrupted_in_a_row])
def test_of_what_is_interrupted_nothing_is_left(
    terminal: Terminal, training: Callable[[Display], None]
) -> None:
    with pytest.raises(KeyboardInterrupt):
        training(display())
    assert seen(terminal) == [""]


def test_before_the_first_epoch_the_bar_says_what_is_done(terminal: Terminal) -> None:
    with display().show_epoch_progress(3):
        pass
    assert "vectorizing" in terminal.getvalue()
    assert seen(terminal) == [""]


# --- what steers -------------------------------------------------------------------------------

HOSTILE = "[bold]a[/bold]\nSaved\x1b]0;t\x07\x1b[2J\x9b2J\r\x08\u202e\u2028"
OWN = re.compile(r"\x1b\[[0-9;]*m")


def test_nothing_that_is_shown_steers_a_terminal_or_forges_a_line(terminal: Terminal) -> None:
    shown = display()
    figures = {"overall": scores(0.5, 6), "class": {HOSTILE: scores(0.25, 4)}}
    shown.show_header(HOSTILE, {"data": (HOSTILE, {"name": HOSTILE, "list": [HOSTILE]})})
    shown.show_line(HOSTILE)
    shown.show_note(HOSTILE)
    shown.show_fact(HOSTILE, HOSTILE)
    shown.show_copyable(HOSTILE, HOSTILE)
    shown.show_copyable("Path", Path(HOSTILE))
    shown.show_result(HOSTILE)
    shown.show_table(HOSTILE, [HOSTILE], [[HOSTILE]])
    show_scores(shown, HOSTILE, {**figures, "slices": {HOSTILE: scores(1.0, 2)}}, [])  # type: ignore[typeddict-item]
    written = OWN.sub("", terminal.getvalue())
    assert not {*"\x1b\x07\x08\x9b\r\u202e\u2028"} & {*written}
    assert "[/bold]\nSaved" not in written
    assert "[bold]a" in written


def test_the_state_beside_a_bar_steers_nothing_and_is_no_markup(terminal: Terminal) -> None:
    shown = display()
    with shown.show_step_progress("Figure", 2) as step:
        step(1, HOSTILE)
    with shown.show_trial_progress(3) as tell:
        tell(SearchProgress(1, 1, 0, 0, HOSTILE))
    assert not {*"\x07\x08\x9b\u202e\u2028"} & {*terminal.getvalue()}
    assert "\x1b]" not in terminal.getvalue()
    assert "[bold]a" in terminal.getvalue()
