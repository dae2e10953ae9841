from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.random import RandomState
from scipy.sparse import csr_matrix
from sklearn.linear_model import Perceptron, SGDClassifier
from sklearn.naive_bayes import BernoulliNB
from sklearn.neural_network import MLPClassifier

from tagifai.config.schema import Config, check
from tagifai.exceptions import ConfigError
from tagifai.models import skops_files
from tagifai.models.sampling import FeatureRows
from tagifai.training import checkpoints, loop
from tagifai.training.checkpoints import CheckpointFile, Checkpoints
from tagifai.training.components import build_components
from tagifai.training.fitting import FitResult, TaggerTrainer
from tagifai.training.loop import Callback, EpochLoop, History, TrainedModel, ValidationScorer
from tagifai.utils import files, own_modules
from tests.conftest import Compose
from tests.training.test_streaming import Data, reviews

few = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Killed(BaseException):
    """Ends a training at any place, as a signal does."""


class Ending:
    """Ends a training after an epoch."""

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch

    def on_epoch_end(self, history: History) -> None:
        if history.epoch == self._epoch:
            raise Killed


class Listener:
    def __init__(self) -> None:
        self.told: list[tuple[list[float], list[float], dict[int, float]]] = []

    def on_epoch_end(self, history: History) -> None:
        told = [*history.train_loss], [*history.val_loss], dict(history.scores)
        self.told.append(told)


# --- a training of a few rows ------------------------------------------------------------------

N, CLASSES, FEATURES = 60, 4, 30
MADE = RandomState(5)
Y = np.arange(N) % CLASSES
X = csr_matrix(MADE.poisson(0.3, (N, FEATURES)) + 2.0 * (Y[:, None] == np.arange(FEATURES)))
ROWS, VAL = FeatureRows(X[:40], Y[:40]), FeatureRows(X[40:], Y[40:])


class Stream:
    """Gives the rows in chunks, in another order each time."""

    def __init__(self, seed: int = 9) -> None:
        self.random_state = RandomState(seed)

    def count_by_class(self) -> dict[int, int]:
        return ROWS.count_by_class()

    def iterate_chunks(self, epoch: int) -> Iterator[FeatureRows]:
        for chosen in np.array_split(self.random_state.permutation(len(ROWS.y)), 4):
            yield FeatureRows(ROWS.X[chosen], ROWS.y[chosen])


MODELS: dict[str, Callable[[], Any]] = {
    "sgd": lambda: SGDClassifier(loss="log_loss", random_state=RandomState(1)),
    "averaged": lambda: SGDClassifier(loss="log_loss", average=True, random_state=RandomState(1)),
    "averaged later": lambda: SGDClassifier(
        loss="modified_huber", average=100, random_state=RandomState(1)
    ),
    "balanced": lambda: SGDClassifier(
        loss="hinge", class_weight="balanced", penalty="l1", random_state=RandomState(1)
    ),
    "perceptron": lambda: Perceptron(penalty="l2", random_state=RandomState(1)),
    "network": lambda: MLPClassifier((5,), batch_size=10, random_state=RandomState(1)),
    "network with a slope": lambda: MLPClassifier((5,), solver="sgd", random_state=RandomState(1)),
    "naive bayes": BernoulliNB,
}
"""Models that stream; naive Bayes takes all rows once."""


class Noted:
    """Keeps what a person is told."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, text: str) -> None:
        self.texts.append(text)


def trained(
    make: Callable[[], Any],
    file: Path | None = None,
    *callbacks: Callback,
    note: Callable[[str], None] = print,
    streamed: bool = True,
    patience: int | None = None,
) -> TrainedModel:
    kept = None if file is None else CheckpointFile(file, note)
    scorer = ValidationScorer(lambda y_prob: float(y_prob.max()), 2)
    rows = Stream() if streamed else ROWS
    model = make()
    model.random_state = getattr(model, "random_state", None)
    return EpochLoop(6, patience, callbacks, scorer, kept).train(model, rows, ROWS, VAL)


def assert_equal(found: TrainedModel, expected: TrainedModel) -> None:
    """Compare two trainings to the last bit."""
    assert found.history == expected.history
    assert found.epoch == expected.epoch
    assert_same(vars(found.model), vars(expected.model))


def assert_same(found: Any, expected: Any) -> None:
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for name in expected:
            assert_same(found[name], expected[name])
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    elif isinstance(expected, RandomState):
        assert_same(found.get_state(), expected.get_state())
    elif isinstance(expected, np.ndarray):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
        assert found.tobytes() == expected.tobytes()
    elif type(expected).__module__ in ("builtins", "numpy"):
        assert (type(found), found) == (type(expected), expected)


# --- the same result ---------------------------------------------------------------------------


@pytest.mark.parametrize("streamed", [True, False], ids=["streamed", "in memory"])
@pytest.mark.parametrize("patience", [None, 1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_after_any_epoch_a_training_goes_on_to_the_same_result(
    tmp_path: Path, name: str, patience: int | None, streamed: bool
) -> None:
    kind: dict[str, Any] = {"streamed": streamed, "patience": patience}
    heard = Listener()
    whole = trained(MODELS[name], None, heard, **kind)
    for epoch in range(len(whole.history.val_loss)):
        file = tmp_path / f"{epoch}.skops"
        with pytest.raises(Killed):
            trained(MODELS[name], file, Ending(epoch), **kind)
        note, again = Noted(), Listener()
        assert_equal(trained(MODELS[name], file, again, note=note, **kind), whole)
        assert note.texts == [f"Resumed after epoch {epoch} of a training that was interrupted."]
        assert again.told == heard.told


def test_a_training_may_be_interrupted_many_times(tmp_path: Path) -> None:
    whole = trained(MODELS["averaged"])
    for epoch in range(6):
        with pytest.raises(Killed):
            trained(MODELS["averaged"], tmp_path / "a", Ending(epoch))
    assert_equal(trained(MODELS["averaged"], tmp_path / "a"), whole)


def test_the_source_of_randomness_stays_the_one_that_others_use(tmp_path: Path) -> None:
    def make(state: RandomState) -> SGDClassifier:
        return SGDClassifier(loss="log_loss", random_state=state)

    whole, resumed = RandomState(1), RandomState(1)
    trained(lambda: make(whole))
    with pytest.raises(Killed):
        trained(MODELS["sgd"], tmp_path / "a", Ending(2))
    trained(lambda: make(resumed), tmp_path / "a")
    assert_same(resumed, whole)


# --- at any moment -----------------------------------------------------------------------------

TRACED = {loop.__file__, checkpoints.__file__, files.__file__, skops_files.__file__}


@contextmanager
def watched(step: Callable[[], None]) -> Iterator[None]:
    """Call a function before each line of the modules that train and keep."""

    def enter(frame: FrameType, event: str, _: Any) -> Any:
        return inside if frame.f_code.co_filename in TRACED else None

    def inside(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            step()
        return inside

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        yield
    finally:
        sys.settrace(before)


def count_steps(folder: Path) -> int:
    steps: list[None] = []
    with watched(lambda: steps.append(None)):
        trained(MODELS["averaged"], folder / "counted", patience=1)
    return len(steps)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # a file left open
def test_an_error_between_any_two_steps_leaves_what_can_be_gone_on_from(tmp_path: Path) -> None:
    whole, steps = trained(MODELS["averaged"], patience=1), count_steps(tmp_path)
    assert steps > 200

    def end_at(last: int) -> Callable[[], None]:
        left = [last]

        def step() -> None:
            left[0] -= 1
            if not left[0]:
                raise Killed

        return step

    for last in range(1, steps, steps // 25):
        file = tmp_path / str(last) / "run.skops"
        with pytest.raises(Killed), watched(end_at(last)):
            trained(MODELS["averaged"], file, patience=1)
        note = Noted()
        assert_equal(trained(MODELS["averaged"], file, note=note, patience=1), whole)
        assert all(text.startswith("Resumed after epoch ") for text in note.texts)


def test_what_a_power_cut_leaves_at_any_moment_can_be_gone_on_from(tmp_path: Path) -> None:
    whole, folder = trained(MODELS["averaged"], patience=1), tmp_path / "kept"
    left: dict[Any, Path] = {}

    def look() -> None:
        found = [(p, p.stat().st_ino, p.stat().st_size) for p in sorted(folder.glob("*"))]
        if str(found) not in left:
            left[str(found)] = tmp_path / f"left-{len(left)}"
            if folder.exists():
                shutil.copytree(folder, left[str(found)])

    with watched(look):
        trained(MODELS["averaged"], folder / "run.skops", patience=1)
    assert len(left) > 2 * len(whole.history.val_loss)
    resumed = 0
    for copy in left.values():
        note = Noted()
        assert_equal(trained(MODELS["averaged"], copy / "run.skops", note=note, patience=1), whole)
        resumed += len(note.texts)
        assert all(text.startswith("Resumed after epoch ") for text in note.texts)
    assert resumed >= len(left) - 3  # before the first epoch there is none


# --- damaged, or of something else -------------------------------------------------------------


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    file = tmp_path_factory.mktemp("good") / "run.skops"
    with pytest.raises(Killed):
        trained(MODELS["sgd"], file, Ending(3))
    return file.read_bytes()


@pytest.fixture(scope="module")
def whole() -> TrainedModel:
    return trained(MODELS["sgd"])


def forge(content: Any) -> bytes:
    """Return a file with a right sum and a content of another kind."""
    made = io.BytesIO()
    skops_files.write_state(made, content)
    return f"{sha256(made.getvalue()).hexdigest()}\n".encode() + made.getvalue()


def assert_passed_over(file: Path, whole: TrainedModel) -> None:
    note = Noted()
    assert_equal(trained(MODELS["sgd"], file, note=note), whole)
    (text,) = note.texts
    assert text.startswith(f"{file} is passed over: ")
    assert text.endswith(" The training begins anew.")


@few
@given(st.data())
def test_a_changed_byte_is_noticed(
    tmp_path: Path, good: bytes, whole: TrainedModel, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(good) - 1))
    changed = bytearray(good)
    changed[at] ^= data.draw(st.integers(1, 255))
    (tmp_path / "run.skops").write_bytes(changed)
    assert_passed_over(tmp_path / "run.skops", whole)


@few
@given(st.data())
def test_what_is_cut_off_or_anything_else_is_noticed(
    tmp_path: Path, good: bytes, whole: TrainedModel, data: st.DataObject
) -> None:
    cut = st.integers(0, len(good) - 1).map(lambda size: good[:size])
    more = st.binary(min_size=1, max_size=99).map(lambda tail: good + tail)
    (tmp_path / "run.skops").write_bytes(data.draw(cut | more | st.binary(max_size=300)))
    assert_passed_over(tmp_path / "run.skops", whole)


@pytest.mark.parametrize(
    "content",
    [[], {}, "text", {"inputs": 3}, {"inputs": "x", "history": {}, "model": None}],
)
def test_a_file_with_another_content_is_passed_over(
    tmp_path: Path, whole: TrainedModel, content: Any
) -> None:
    (tmp_path / "run.skops").write_bytes(forge(content))
    assert_passed_over(tmp_path / "run.skops", whole)


def test_a_folder_in_its_place_is_named_and_the_training_goes_on(
    tmp_path: Path, whole: TrainedModel
) -> None:
    (tmp_path / "run.skops" / "x").mkdir(parents=True)
    note = Noted()
    assert_equal(trained(MODELS["sgd"], tmp_path / "run.skops", note=note), whole)
    passed_over, not_kept = note.texts
    assert passed_over.startswith(f"{tmp_path}/run.skops is passed over: ")
    assert not_kept.startswith(f"No checkpoint can be kept in {tmp_path} (Is a directory);")


def test_a_full_disk_is_said_once_and_ends_nothing(
    tmp_path: Path, whole: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    note = Noted()
    monkeypatch.setattr("os.fsync", fill)
    assert_equal(trained(MODELS["sgd"], tmp_path / "run.skops", note=note), whole)
    (text,) = note.texts
    assert text == (
        f"No checkpoint can be kept in {tmp_path} (No space left on device); the training goes on,"
        " and after an interruption begins with what is there."
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "other",
    [
        lambda: SGDClassifier(loss="log_loss", alpha=0.3, random_state=RandomState(1)),
        lambda: SGDClassifier(loss="log_loss", random_state=RandomState(2)),
        lambda: SGDClassifier(loss="hinge", random_state=RandomState(1)),
        MODELS["perceptron"],
    ],
)
def test_a_checkpoint_of_another_model_is_never_used(tmp_path: Path, other: Any) -> None:
    with pytest.raises(Killed):
        trained(MODELS["sgd"], tmp_path / "run.skops", Ending(3))
    note = Noted()
    assert_equal(trained(other, tmp_path / "run.skops", note=note), trained(other))
    assert "it is of other rows or of another model. The training begins anew." in note.texts[0]


def test_a_checkpoint_of_other_rows_is_never_used(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        trained(MODELS["sgd"], tmp_path / "run.skops", Ending(3))
    note, other = Noted(), FeatureRows(ROWS.X * 1.5, ROWS.y)
    kept = CheckpointFile(tmp_path / "run.skops", note)
    found = EpochLoop(6, checkpoint=kept).train(MODELS["sgd"](), Stream(), other, VAL)
    assert "it is of other rows or of another model." in note.texts[0]
    assert_equal(found, EpochLoop(6).train(MODELS["sgd"](), Stream(), other, VAL))


def test_features_from_the_cache_are_the_same_rows(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        trained(MODELS["sgd"], tmp_path / "run.skops", Ending(3))
    noted = ROWS.X.copy()
    noted.has_sorted_indices = noted.has_canonical_format = True
    note = Noted()
    kept = CheckpointFile(tmp_path / "run.skops", note)
    rows = FeatureRows(noted, ROWS.y)
    EpochLoop(6, checkpoint=kept).train(MODELS["sgd"](), Stream(), rows, VAL)
    assert note.texts == ["Resumed after epoch 3 of a training that was interrupted."]


# --- models of one's own -----------------------------------------------------------------------


class Own(SGDClassifier):  # type: ignore[misc]
    """Has a source of randomness that is no argument."""

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Any:
        if not hasattr(self, "own_"):
            self.own_ = {"dice": [RandomState(8)]}
        order = self.own_["dice"][0].permutation(len(y))
        return super().partial_fit(X[order], y[order], classes=classes)


def make_own() -> Own:
    return Own(loss="log_loss", random_state=RandomState(1))


def test_a_model_that_cannot_be_read_again_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        trained(make_own, tmp_path / "run.skops")
    assert str(caught.value).startswith(
        "training.resume = true: a checkpoint cannot hold Own (it holds types that are not"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_ones_own_goes_on_with_all_that_it_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(own_modules._files, __name__, Path(__file__))
    with pytest.raises(Killed):
        trained(make_own, tmp_path / "run.skops", Ending(3))
    assert_equal(trained(make_own, tmp_path / "run.skops"), trained(make_own))


# --- a run's -----------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path, composed: Compose) -> Data:
    return Data(tmp_path, composed)


def fit(
    data: Data, kept: Checkpoints | None, overrides: Sequence[str], *callbacks: Callback
) -> FitResult:
    config = data.config(reviews(), "training.epochs=5", *overrides)
    prepared = data.prepared(reviews(), "training.epochs=5", *overrides)
    components = build_components(config, RandomState(3))
    checkpoint = None if kept is None else kept.open("run")
    trainer = TaggerTrainer(prepared, components, config.training, checkpoint=checkpoint)
    return trainer.fit(callbacks)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("model=sgd_averaged", "training.patience=1"),
        ("model.class_weight=balanced", "split.shuffle=false"),
        ("model=complement_nb",),
    ],
    ids=str,
)
def test_a_streamed_training_goes_on_to_the_same_model_and_scores(
    tmp_path: Path, data: Data, overrides: Sequence[str]
) -> None:
    whole = fit(data, None, overrides)
    kept = Checkpoints(tmp_path / "kept", print)
    with pytest.raises(Killed):
        fit(data, kept, overrides, Ending(min(2, whole.history.epoch)))
    note = Noted()
    resumed = fit(data, Checkpoints(tmp_path / "kept", note), overrides)
    assert len(note.texts) == 1
    assert resumed.history == whole.history
    assert resumed.performance == whole.performance
    assert resumed.threshold == whole.threshold
    assert_same(vars(resumed.tagger.model), vars(whole.tagger.model))


def test_without_the_setting_there_are_no_checkpoints(tmp_path: Path, composed: Compose) -> None:
    config = check(composed(f"paths.stores={tmp_path}"))
    with checkpoints.hold(config, "d", print) as kept:
        assert kept.open("run") is None
        kept.remove()
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def resuming(tmp_path: Path, composed: Compose) -> Config:
    return check(composed(f"paths.stores={tmp_path}", "training.resume=true"))


def test_checkpoints_are_removed_with_all_that_was_left_of_them(
    tmp_path: Path, resuming: Config
) -> None:
    folder = tmp_path / "cache" / "checkpoints" / checkpoints.compute_key(resuming, "d")
    folder.mkdir(parents=True)
    (folder / ".run.skops.abcd1234.tagifai").write_bytes(b"half")
    with checkpoints.hold(resuming, "d", print) as kept:
        trained(MODELS["sgd"], folder / "run.skops")
        assert [path.name for path in folder.iterdir()] == ["run.skops"]
        kept.remove()
    assert list(folder.parent.iterdir()) == []
    assert list((tmp_path / "running").iterdir()) == []


def test_of_two_at_once_the_second_keeps_none_and_leaves_those_of_the_first(
    resuming: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "WAIT_SECONDS", 0.0)
    note = Noted()
    with checkpoints.hold(resuming, "d", print) as first:
        file = first.open("run")
        assert file is not None
        kept = Path(resuming.paths.stores) / "cache" / "checkpoints"
        with pytest.raises(Killed):
            interrupt(file)
        with checkpoints.hold(resuming, "d", note) as second:
            assert second.open("run") is None
            second.remove()
        with checkpoints.hold(resuming, "other data", print) as third:
            assert third.open("run") is not None
        assert len([*kept.glob("*/run.skops")]) == 1
    assert note.texts == [
        "Another process trains the same now, so this training keeps no checkpoints."
    ]
    with checkpoints.hold(resuming, "d", print) as later:
        assert later.open("run") is not None


def interrupt(file: CheckpointFile) -> None:
    EpochLoop(6, None, [Ending(2)], None, file).train(MODELS["sgd"](), Stream(), ROWS, VAL)


SAME = [
    *("console=quiet", "plots=none", "cache=none", "metrics=[f1]", "tracking.run_name=x"),
    "paths.outputs=/elsewhere",
]
OTHER = [
    *("seed=1", "training.epochs=11", "model=sgd_averaged", "vectorizer.max_features=9"),
    *("preprocessing.stem=true", "split.val_size=0.2", "sampling=random_over", "data.min_freq=3"),
    *("threshold=quantile", "objective.repeats=2"),
]


def test_the_key_goes_by_everything_that_decides_the_result_and_nothing_else(
    composed: Compose, resuming: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def key(*overrides: str, digest: str = "d") -> str:
        given = ("training.resume=true", *overrides)
        return checkpoints.compute_key(check(composed(*given)), digest)

    whole = checkpoints.compute_key(resuming, "d")
    assert {key(*SAME), key("training.resume=false")} == {whole}
    assert len({whole, key(digest="e"), *map(key, OTHER)}) == len(OTHER) + 2
    monkeypatch.setattr(checkpoints, "get_versions", lambda _: {"numpy": "0"})
    assert key() != whole
