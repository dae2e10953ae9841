from __future__ import annotations

import io
import subprocess
import sys
from dataclasses import dataclass
from types import SimpleNamespace

import pytest

from tagifai.console import Display
from tagifai.metrics import Performance, Scores

LISTENED_TO = """
import sys
from tagifai.console import Display

shown = Display(quiet=False, plain=True, every=1)
with shown.epochs(10) as show:
    show(0, 1.0, 2.0)
    sys.stdout.flush()
    sys.stdin.readline()
    for epoch in range(1, 10):
        show(epoch, 1.0, 2.0)
shown.scores("Test", {"overall": dict.fromkeys(("precision", "recall", "f1", "num_samples"), 1),
                      "class": {}, "slices": {}})
shown.result("x" * 100_000)
sys.stdout.flush()
sys.stderr.write("trained")
"""


class Terminal(io.StringIO):
    """Standard output that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass
class Settings:
    verbosity: str = "normal"
    style: str = "auto"
    every: int = 10


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    monkeypatch.setattr("tagifai.console.sys", SimpleNamespace(stdout=made))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "60")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return made


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
    shown.header("train", {"model": ("sgd", {"alpha": 1e-4})})
    shown.say("a line", style="yellow")
    with shown.epochs(2) as show:
        show(0, 1.0, 2.0)
        show(1, 0.5, 1.5)
    shown.scores("Test", performance())
    shown.result("a result")


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
    shown.header("train", {"model": ("sgd", {})})
    shown.say("a line")
    with shown.epochs(1) as show:
        show(0, 1.0, 1.0)
    assert capsys.readouterr().out == ""
    shown.result("a result")
    assert capsys.readouterr().out == "a result\n"
    shown.scores("Test", performance())
    assert "overall (weighted)" in capsys.readouterr().out


def test_quiet_draws_no_bars_on_a_terminal(terminal: Terminal) -> None:
    assert not display(quiet=True).live


@pytest.mark.parametrize(
    ("settings", "quiet", "live"),
    [
        (Settings(), False, True),
        (Settings(verbosity="quiet"), True, False),
        (Settings(style="plain"), False, False),
    ],
)
def test_the_console_group_describes_the_display(
    terminal: Terminal, settings: Settings, quiet: bool, live: bool
) -> None:
    shown = Display.of(settings)
    shown.say("a line")
    assert (terminal.getvalue() == "") is quiet
    assert shown.live is live


@pytest.mark.parametrize(
    ("every", "total", "told"),
    [(1, 3, [0, 1, 2]), (2, 5, [0, 2, 4]), (2, 4, [0, 2, 3]), (10, 3, [0, 2]), (10, 1, [0])],
)
def test_plain_lines_come_every_so_many_epochs_and_after_the_last(
    capsys: pytest.CaptureFixture[str], every: int, total: int, told: list[int]
) -> None:
    with display(every=every).epochs(total) as show:
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
    with display(every=every).epochs(100) as show:
        for epoch in range(ends_after):
            show(epoch, 1.0, 2.0)
    lines = capsys.readouterr().out.splitlines()
    assert lines == [f"Epoch {epoch} | train_loss 1.00000 | val_loss 2.00000" for epoch in told]


def test_a_training_without_epochs_tells_of_none(capsys: pytest.CaptureFixture[str]) -> None:
    with display().epochs(3):
        pass
    assert capsys.readouterr().out == ""


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
    display().header("t", {"vectorizer": (None, {"max_df": value})})
    assert capsys.readouterr().out.splitlines()[1].endswith(f"vectorizer  max_df={shown}")


def test_the_header_names_groups_options_and_values_and_leaves_out_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    display().header(
        "tagifai train",
        {
            "model": ("sgd", {"alpha": 1e-5, "power_t": None, "shuffle": True}),
            "sampling": ("none", {}),
            "training": (None, {"epochs": 100}),
            "preprocessing": ("default", {"stopwords": ["a"] * 179, "tags": ["a", "b"]}),
        },
    )
    lines = [line.strip("├└─│ ") for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "tagifai train",
        "model sgd  alpha=1e-05, shuffle=True",
        "sampling none",
        "training  epochs=100",
        "preprocessing default  stopwords=[179 items], tags=[a, b]",
    ]


def test_lists_of_up_to_six_items_and_values_of_up_to_60_characters_are_shown_whole(
    capsys: pytest.CaptureFixture[str],
) -> None:
    values = {"six": list("abcdef"), "seven": list("abcdefg")}
    long = {"short": "x" * 60, "long": "a" * 30 + "b" * 31}
    display().header("t", {"one": (None, values), "two": (None, long)})
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "six=[a, b, c, d, e, f], seven=[7 items]" in shown
    assert f"short={'x' * 60}" in shown
    assert f"long={'a' * 24}…a{'b' * 31}" in shown


def test_a_long_line_is_not_broken_away_from_a_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = "word " * 60
    display().say(text)
    display().result(text)
    assert capsys.readouterr().out == f"{text}\n{text}\n"


def test_what_looks_like_markup_is_shown_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    display().say("[bold]x[/bold] [1, 2] :smile:")
    assert capsys.readouterr().out == "[bold]x[/bold] [1, 2] :smile:\n"
    scored = performance()
    scored["class"] = {"[red]": scores(0.5, 1)}
    display().scores("Test", scored)
    assert "[red]" in capsys.readouterr().out


def test_the_table_has_a_row_a_class_then_the_whole_then_a_row_a_slice(
    capsys: pytest.CaptureFixture[str],
) -> None:
    display().scores("Test, threshold 0.5", performance(short_text=scores(0.125, 3)))
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip(" ─━")]
    assert lines == [
        ["Test,", "threshold", "0.5"],
        ["precision", "recall", "f1", "samples"],
        ["cv", "0.2500", "0.2500", "0.2500", "4"],
        ["nlp", "1.0000", "1.0000", "1.0000", "2"],
        ["overall", "(weighted)", "0.5000", "0.5000", "0.5000", "6"],
        ["slice", "short_text", "0.1250", "0.1250", "0.1250", "3"],
    ]


def test_without_slices_the_table_ends_with_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    display().scores("Test", performance())
    assert "slice" not in capsys.readouterr().out
