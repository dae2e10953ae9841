from __future__ import annotations

import io
import json
import os
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import pytest
from sklearn.ensemble import RandomForestClassifier

from tagifai.exceptions import BundleError
from tagifai.models import bundles
from tagifai.models.tagger import Tagger
from tagifai.runs import latest, resolve
from tagifai.serving import archives, unpacking
from tagifai.utils import files, process_pool
from tests.conftest import DOCUMENTS, TAGS, TEXTS, fitted
from tests.models.test_bundles import change_manifest, replace_part
from tests.runner import call_here

RUN = "0123456789abcdef0123456789abcdef"


@pytest.fixture(autouse=True)
def here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Check files within this process, but where the process is what is tested."""
    if request.node.get_closest_marker("e2e") is None:
        monkeypatch.setattr(process_pool, "call_limited", call_here)


@pytest.fixture
def bundle(tmp_path: Path, tagger: Tagger) -> Path:
    bundles.save(tmp_path / "made" / "bundle", tagger, DOCUMENTS)
    return tmp_path / "made" / "bundle"


@pytest.fixture
def exported(tmp_path: Path, bundle: Path) -> Path:
    archives.export_run(bundle, RUN, tmp_path / "model.zip")
    return tmp_path / "model.zip"


@pytest.fixture
def stores(tmp_path: Path) -> Path:
    """Stores with a latest run, which no import may change."""
    latest.set_run(tmp_path / "stores", "latest", {"f1": 0.5})
    return tmp_path / "stores"


def members(path: Path) -> dict[str, bytes]:
    with ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(path: Path, content: dict[str, bytes]) -> None:
    with ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)


def repack(path: Path, **changes: bytes | None) -> None:
    """Write an export anew with other members; None leaves one out."""
    content: dict[str, Any] = {**members(path), **changes}
    pack(path, {name: data for name, data in content.items() if data is not None})


def tree(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


def refusal(path: Path, stores: Path) -> str:
    """Return why a file is not taken in; it leaves nothing behind."""
    before = tree(stores)
    with pytest.raises(BundleError) as caught:
        archives.import_run(path, stores)
    assert tree(stores) == before
    assert ".tagifai" not in str(caught.value)
    assert str(path) in str(caught.value)
    return str(caught.value)


# --- round trip --------------------------------------------------------------------------------


def test_a_run_that_was_handed_on_predicts_the_same(
    exported: Path, stores: Path, tagger: Tagger
) -> None:
    imported = archives.import_run(exported, stores)
    assert imported == archives.ImportedRun(RUN, bundles.get_path(stores, RUN), fresh=True)
    assert resolve.load_tagger(stores, RUN, None)[1].predict(TEXTS) == tagger.predict(TEXTS)


def test_an_import_leaves_a_mark_and_the_latest_run_as_it_was(exported: Path, stores: Path) -> None:
    made = archives.import_run(exported, stores).bundle
    sha256 = files.compute_sha256(exported)
    mark = {"file": "model.zip", "sha256": sha256, "trusted": False}
    assert bundles.read_manifest(made)["imported"] == mark
    assert bundles.is_imported(made)
    assert resolve.get_latest(stores) == "latest"
    assert json.loads((stores / "performance.json").read_text()) == {"f1": 0.5}
    assert {path.name for path in stores.iterdir()} >= {"artifacts", "run_id.txt"}
    assert [path for path in stores.iterdir() if path.name.startswith(".import")] == []


def test_the_mark_stays_when_the_run_is_handed_on(
    exported: Path, stores: Path, tmp_path: Path
) -> None:
    made = archives.import_run(exported, stores).bundle
    archives.export_run(made, RUN, tmp_path / "on.zip")
    assert json.loads(members(tmp_path / "on.zip")["bundle/manifest.json"])["imported"]
    further = archives.import_run(tmp_path / "on.zip", tmp_path / "further")
    assert bundles.read_manifest(further.bundle)["imported"]["file"] == "on.zip"
    assert not archives.import_run(exported, tmp_path / "further").fresh
    assert not archives.import_run(tmp_path / "on.zip", stores).fresh


def test_a_mark_of_the_file_s_own_is_not_believed(
    exported: Path, bundle: Path, stores: Path
) -> None:
    change_manifest(bundle, lambda m: m.update(imported={"file": "x", "trusted": True}))
    repack(exported, **{"bundle/manifest.json": (bundle / "manifest.json").read_bytes()})
    made = archives.import_run(exported, stores).bundle
    assert bundles.read_manifest(made)["imported"]["trusted"] is False


def test_equal_bundles_give_equal_files_with_what_belongs_in_order(
    exported: Path, bundle: Path, tmp_path: Path
) -> None:
    os.utime(bundle / "tagger.json", (0, 0))
    archives.export_run(bundle, RUN, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == exported.read_bytes()
    content = members(exported)
    assert json.loads(content["export.json"]) == {"format": 1, "run_id": RUN}
    parts = {name.removeprefix("bundle/"): data for name, data in content.items() if "/" in name}
    assert parts == {file.name: file.read_bytes() for file in bundle.iterdir()}
    assert list(parts) == sorted(parts)


def test_only_what_the_manifest_names_is_exported(bundle: Path, tmp_path: Path) -> None:
    (bundle / "notes.txt").write_text("private")
    archives.export_run(bundle, RUN, tmp_path / "model.zip")
    assert "bundle/notes.txt" not in members(tmp_path / "model.zip")


def test_a_run_that_is_there_already_is_left_alone(exported: Path, stores: Path) -> None:
    archives.import_run(exported, stores)
    before = {path: path.stat().st_mtime_ns for path in tree(stores / "artifacts")}
    assert not archives.import_run(exported, stores).fresh
    assert {path: path.stat().st_mtime_ns for path in tree(stores / "artifacts")} == before


def test_a_run_of_one_s_own_gets_no_mark_by_importing_it(
    exported: Path, bundle: Path, stores: Path
) -> None:
    bundles.publish(bundle, stores, RUN)
    assert not archives.import_run(exported, stores).fresh
    assert not bundles.is_imported(bundles.get_path(stores, RUN))


def test_another_run_of_the_same_id_is_not_replaced(
    exported: Path, tmp_path: Path, stores: Path
) -> None:
    bundles.save(tmp_path / "other", fitted(seed=1), DOCUMENTS)
    target = bundles.publish(tmp_path / "other", stores, RUN)
    message = refusal(exported, stores)
    assert message.startswith(f"There is another run of the same id at {target}. ")
    assert message.endswith(f"move {target} away first.")
    (target / "model.coef_.npy").write_bytes(b"")
    assert refusal(exported, stores).startswith("The run exists already, but is damaged: ")


# --- exports that are refused ------------------------------------------------------------------


def test_an_existing_file_is_not_overwritten(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "model.zip").write_text("mine")
    with pytest.raises(BundleError, match=r"is there already\. Remove it, or give another name"):
        archives.export_run(bundle, RUN, tmp_path / "model.zip")
    assert (tmp_path / "model.zip").read_text() == "mine"


def test_a_place_that_cannot_be_written_is_said(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BundleError, match=r"model\.zip cannot be written: "):
        archives.export_run(bundle, RUN, tmp_path / "file" / "model.zip")


def test_a_bundle_that_cannot_be_loaded_is_not_exported(bundle: Path, tmp_path: Path) -> None:
    (bundle / "tagger.json").write_text("{}")
    with pytest.raises(BundleError, match="is not the one that was saved"):
        archives.export_run(bundle, RUN, tmp_path / "model.zip")
    assert not (tmp_path / "model.zip").exists()


def test_an_export_that_is_interrupted_leaves_nothing(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(shutil, "copyfileobj", interrupted)
    with pytest.raises(KeyboardInterrupt):
        archives.export_run(bundle, RUN, tmp_path / "out" / "model.zip")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_could_not_be_imported_is_not_exported(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "BYTES", 1000)
    with pytest.raises(BundleError, match=r"bytes unpacked; the limit is 1000"):
        archives.export_run(bundle, RUN, tmp_path / "model.zip")


# --- files that are no exports -----------------------------------------------------------------


def test_a_file_that_is_missing_or_a_folder_is_refused(stores: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path / "x.zip", stores) == f"There is no file {tmp_path / 'x.zip'}."
    assert "cannot be read: Is a directory" in refusal(tmp_path, stores)


def test_a_pipe_or_a_device_is_refused_and_not_waited_for(stores: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    for path in (tmp_path / "pipe.zip", Path("/dev/zero")):
        assert refusal(path, stores) == f"{path} cannot be read: it is no plain file."


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04" + bytes(100)])
def test_a_file_that_is_no_zip_is_refused(stores: Path, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "model.zip"
    path.write_bytes(content)
    assert "is not a zip file, or a damaged one" in refusal(path, stores)


@pytest.mark.parametrize("at", [0.3, 0.55, 0.8])
def test_a_damaged_or_cut_zip_is_refused(exported: Path, stores: Path, at: float) -> None:
    content = bytearray(exported.read_bytes())
    exported.write_bytes(content[: int(len(content) * at)])
    assert "is not a zip file, or a damaged one" in refusal(exported, stores)
    content[int(len(content) * at)] ^= 0xFF
    exported.write_bytes(content)
    refusal(exported, stores)


def test_a_zip_of_something_else_is_refused(tmp_path: Path, stores: Path) -> None:
    path = tmp_path / "model.zip"
    pack(path, {})
    assert "has no export.json, so it is not an exported model" in refusal(path, stores)
    pack(path, {"holiday.jpg": b"x"})
    assert "'holiday.jpg', which is no part of an exported model" in refusal(path, stores)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"{", "is not a zip file, or a damaged one"),
        (b"[" * 100_000, "is not a zip file, or a damaged one"),
        (b"[]", "export.json does not say what the file is"),
        (b'{"run_id": "x"}', "export.json does not say what the file is"),
        (b'{"format": 1}', "export.json does not say what the file is"),
        (
            b'{"format": true, "run_id": "x"}',
            "the manifest cannot be read (it has no format number)",
        ),
        (
            b'{"format": 0, "run_id": "x"}',
            "has format 0, and this version of tagifai reads format 1",
        ),
        (
            b'{"format": 2, "run_id": "x"}',
            "has format 2, and this version of tagifai reads format 1",
        ),
        (b'{"format": 1, "run_id": null}', "None is not the id of a run"),
    ],
)
def test_an_export_json_that_says_nothing_or_another_format_is_refused(
    exported: Path, stores: Path, content: bytes, reason: str
) -> None:
    repack(exported, **{"export.json": content})
    assert reason in refusal(exported, stores)


@pytest.mark.parametrize(
    "run_id", ["../../x", "/etc", "a\\b", "c:x", "champion", "models", "", RUN + "\n", RUN.upper()]
)
def test_a_run_id_that_is_a_path_or_a_word_is_refused(
    exported: Path, bundle: Path, stores: Path, run_id: str
) -> None:
    repack(exported, **{"export.json": json.dumps({"format": 1, "run_id": run_id}).encode()})
    assert f"{run_id!r} is not the id of a run" in refusal(exported, stores)
    with pytest.raises(BundleError, match="is not the id of a run"):
        archives.export_run(bundle, run_id, stores / "model.zip")


# --- members -----------------------------------------------------------------------------------

OUTSIDE = [
    *("/etc/passwd", "../x.json", "bundle/../../x.json", "..", "bundle\\x.json", "C:x.json"),
    *("C:\\x.json", "\\\\host\\x.json", "bundle/..", "//host/x.json"),
]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_name_that_leads_out_is_refused(exported: Path, stores: Path, name: str) -> None:
    repack(exported, **{name: b"{}"})
    assert f"holds {name!r}, which leads out of the archive" in refusal(exported, stores)


@pytest.mark.parametrize(
    "name",
    [
        *("bundle/model.pkl", "bundle/model.py", "bundle/.hidden.json", "bundle/a/b.json", "x"),
        *("bundle/a__b.json", "bundle/a b.json", "bundle/.json", "Bundle/x.json", "bundle/nul"),
    ],
)
def test_a_member_that_does_not_belong_is_refused(exported: Path, stores: Path, name: str) -> None:
    repack(exported, **{name: b"{}"})
    assert f"holds {name!r}, which is no part" in refusal(exported, stores)


def test_a_member_that_the_manifest_does_not_name_is_refused(exported: Path, stores: Path) -> None:
    repack(exported, **{"bundle/more.json": b"{}"})
    assert "holds 'bundle/more.json', which its manifest does not name" in refusal(exported, stores)


def test_a_name_with_a_null_byte_is_refused(exported: Path, stores: Path) -> None:
    repack(exported, **{"bundle/x.jsonQ.txt": b"{}"})
    exported.write_bytes(exported.read_bytes().replace(b"x.jsonQ.txt", b"x.json\0.txt"))
    assert "leads out of the archive" in refusal(exported, stores)


@pytest.mark.parametrize(
    ("mode", "what"),
    [(stat.S_IFLNK, "a link"), (stat.S_IFIFO, "not a plain file"), (stat.S_IFDIR, "not a plain")],
)
def test_a_member_that_is_no_plain_file_is_refused(
    exported: Path, stores: Path, mode: int, what: str
) -> None:
    content = members(exported)
    with ZipFile(exported, "w") as archive:
        for name, data in content.items():
            info = ZipInfo(name)
            if name == "bundle/tagger.json":
                info.external_attr = (mode | 0o777) << 16
                data = b"/etc/passwd"  # noqa: PLW2901
            archive.writestr(info, data)
    assert f"'bundle/tagger.json' is {what}" in refusal(exported, stores)


def test_a_folder_as_a_member_is_refused(exported: Path, stores: Path) -> None:
    repack(exported, **{"bundle/": b""})
    assert "'bundle/' is not a plain file" in refusal(exported, stores)


@pytest.mark.parametrize("name", ["bundle/tagger.json", "bundle/TAGGER.json"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(exported: Path, stores: Path, name: str) -> None:
    with ZipFile(exported, "a") as archive:
        archive.writestr(name, b"{}")
    assert "holds 'bundle/tagger.json' 2 times" in refusal(exported, stores)


def central(path: Path, name: str) -> Iterator[int]:
    """Yield where the entries of a member begin: before its data, and in the directory."""
    content = path.read_bytes()
    for mark, offset in ((b"PK\x03\x04", 30), (b"PK\x01\x02", 46)):
        at = content.find(name.encode(), content.find(mark)) - offset
        while content[at : at + 4] != mark:
            at = content.find(name.encode(), at + offset + 1) - offset
        yield at


def patch(path: Path, name: str, local: int, form: str, value: int) -> None:
    """Write a number into both headers of a member; in the second it is 2 bytes further on."""
    content = bytearray(path.read_bytes())
    for at, shift in zip(central(path, name), (0, 2), strict=True):
        struct.pack_into(form, content, at + local + shift, value)
    path.write_bytes(content)


def test_an_encrypted_member_is_refused(exported: Path, stores: Path) -> None:
    patch(exported, "bundle/tagger.json", 6, "<H", 1)
    assert "'bundle/tagger.json' is encrypted" in refusal(exported, stores)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, 93])
def test_a_member_packed_in_another_way_is_refused(
    exported: Path, stores: Path, method: int
) -> None:
    patch(exported, "bundle/tagger.json", 8, "<H", method)
    assert "'bundle/tagger.json' is compressed in a way that is not supported" in refusal(
        exported, stores
    )


# --- sizes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limit", "value", "reason"),
    [
        ("OTHER_TEXT_BYTES", 100, "bytes; the limit is 100"),
        ("TEXT_BYTES", {"config.yaml": 3}, "'bundle/config.yaml' has 9 bytes; the limit is 3"),
        ("BYTES", 1000, "bytes unpacked; the limit is 1000"),
        ("PARTS", 5, "members; no model has more than 5"),
    ],
)
def test_what_is_too_large_as_declared_is_refused_before_it_is_unpacked(
    exported: Path,
    stores: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
    value: Any,
    reason: str,
) -> None:
    monkeypatch.setattr(unpacking, limit, value)
    monkeypatch.setattr(ZipFile, "open", lambda *_: pytest.fail("it was read"))
    assert reason in refusal(exported, stores)


def test_a_bomb_that_declares_its_size_is_refused(exported: Path, stores: Path) -> None:
    repack(exported, **{"bundle/bomb.json": bytes(2**24 + 1)})
    assert exported.stat().st_size < 2**20
    assert "'bundle/bomb.json' has 16777217 bytes" in refusal(exported, stores)


def test_a_bomb_that_declares_less_is_read_no_further(exported: Path, stores: Path) -> None:
    repack(exported, **{"bundle/bomb.json": bytes(10**7)})
    patch(exported, "bundle/bomb.json", 22, "<I", 10)
    assert "damaged one (Bad CRC-32" in refusal(exported, stores)


def test_copying_stops_at_the_declared_size() -> None:
    source, target = io.BytesIO(bytes(3 * 2**20)), io.BytesIO()
    with pytest.raises(BundleError, match=r"^x is larger than declared\.$"):
        unpacking._copy(source, target, 2**20 + 1, "x")
    assert target.tell() == 2**20
    assert source.tell() == 2 * 2**20


# --- bundles that are refused ------------------------------------------------------------------

CHANGES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "older": (lambda m: m.update(format=3), "has format 3, and this version of tagifai reads"),
    "newer": (lambda m: m.update(format=5), "has format 5, and this version of tagifai reads"),
    "absolute": (lambda m: m["parts"].update({"/etc/passwd": {}}), "is not the name of a part"),
    "up": (lambda m: m["parts"].update({"../x.json": {}}), "is not the name of a part"),
    "backslash": (lambda m: m["parts"].update({"..\\x.json": {}}), "is not the name of a part"),
    "drive": (lambda m: m["parts"].update({"C:x.json": {}}), "is not the name of a part"),
    "pickle": (lambda m: m["parts"].update({"model.pkl": {}}), "those are files of .json"),
    "missing": (lambda m: m["parts"].update({"x.json": {}}), "the part x.json is missing"),
    "sum": (lambda m: m["parts"].update({"tagger.json": "0"}), "is not the one that was"),
    "unnamed": (lambda m: m["parts"].pop("model.coef_.npy"), "do not make a working model"),
    "escape": (
        lambda m: m["versions"].update(numpy="\x1b[2J"),
        "versions of the libraries are expected",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_bundle_that_is_refused_by_itself_is_refused_in_a_file(
    exported: Path, bundle: Path, stores: Path, change: str
) -> None:
    made, reason = CHANGES[change]
    change_manifest(bundle, made)
    repack(exported, **{"bundle/manifest.json": (bundle / "manifest.json").read_bytes()})
    assert reason in refusal(exported, stores)


def test_a_file_that_was_changed_on_the_way_is_refused(exported: Path, stores: Path) -> None:
    changed = members(exported)["bundle/tagger.json"].replace(b"0.4", b"0.9")
    repack(exported, **{"bundle/tagger.json": changed})
    assert refusal(exported, stores).endswith("the part tagger.json is not the one that was saved.")


def test_settings_of_somebody_else_are_never_made_to_objects(
    exported: Path, bundle: Path, stores: Path, tmp_path: Path
) -> None:
    planted = tmp_path / "planted"

    def plant(settings: str) -> None:
        replace_part(bundle, "config.yaml", settings.encode())
        for name in ("config.yaml", "manifest.json"):
            repack(exported, **{f"bundle/{name}": (bundle / name).read_bytes()})

    plant(f"x: !!python/object/apply:os.mkdir ['{planted}']\n")
    assert "config.yaml cannot be read: it has YAML's anchors or tags" in refusal(exported, stores)
    plant(f"model: {{_target_: os.mkdir, _args_: ['{planted}']}}\n")
    archives.import_run(exported, stores)
    resolve.load_tagger(stores, RUN, None)[1].predict(TEXTS)
    assert not planted.exists()


# --- interrupts --------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError(28, "No space left on device")])
@pytest.mark.parametrize("place", ["_copy", "_publish", "publish"])
@pytest.mark.parametrize("before", [True, False])
def test_an_import_that_ends_in_the_middle_leaves_nothing(
    exported: Path,
    stores: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Any,
    place: str,
    before: bool,
) -> None:
    def ended(*_: Any) -> None:
        raise error

    owner = {"publish": bundles, "_copy": unpacking}.get(place, archives)
    monkeypatch.setattr(owner, place, ended)
    folder = stores / "artifacts" / RUN
    if before:
        (folder / "artifacts").mkdir(parents=True)
        (folder / "artifacts" / "log.txt").write_text("of a run whose bundle is gone")
    left = tree(stores)
    with pytest.raises(type(error) if isinstance(error, OSError) else KeyboardInterrupt):
        archives.import_run(exported, stores)
    assert [path for path in tree(stores) if path != stores / "artifacts"] == [
        path for path in left if path != stores / "artifacts"
    ]


# --- who has to be trusted ---------------------------------------------------------------------


def test_an_export_says_if_others_have_to_trust_one_for_it(
    tmp_path: Path, stores: Path, tagger: Tagger, caplog: pytest.LogCaptureFixture
) -> None:
    X, y = tagger.vectorize(TEXTS), tagger.encoder.encode(TAGS)
    forest = RandomForestClassifier(2, random_state=0).fit(X, y)
    bundles.save(tmp_path / "forest", replace(tagger, model=forest), DOCUMENTS)
    archives.export_run(tmp_path / "forest", RUN, tmp_path / "forest.zip")
    (record,) = caplog.records
    assert record.message.startswith("Others take the model with task.trusted=true only: ")
    assert "the model is none of BernoulliNB" in refusal(tmp_path / "forest.zip", stores)
    made = archives.import_run(tmp_path / "forest.zip", stores, trusted=True).bundle
    assert bundles.read_manifest(made)["imported"]["trusted"] is True
    assert bundles.load(made).predict(TEXTS) == replace(tagger, model=forest).predict(TEXTS)
