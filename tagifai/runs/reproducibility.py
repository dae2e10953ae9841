"""Compare a rerun with the run that it repeats, and list the differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tagifai.config.schema import SCORE_NAMES
from tagifai.evaluation import metrics
from tagifai.exceptions import BundleError, UserError
from tagifai.models import bundles
from tagifai.runs import records

IGNORED_PARTS = ("config.yaml", "performance.json", "provenance.json")
"""Parts of a bundle that are not compared as files: scores are compared one by one, and the others
are no result of the training, but name folders and commands."""

MISSING = "missing"

DIRTY = "uncommitted changes"


class NotReproducedError(UserError):
    """A rerun has other results than the run that it repeats."""

    exit_code = 1


@dataclass(frozen=True)
class RunFingerprint:
    """The results and circumstances of a run, from its bundle.

    Args:
        digest: SHA-256 of the data set.
        metrics: of validation and test rows.
        parts: sums of the contents of the bundle's parts.
        circumstances: versions, code and platform.
    """

    digest: str
    metrics: Mapping[str, float]
    parts: Mapping[str, str]
    circumstances: Mapping[str, str]

    @classmethod
    def from_bundle(cls, bundle: Path) -> RunFingerprint:
        """Return the fingerprint of a bundle.

        Raises:
            BundleError: the bundle is incomplete or was changed.
        """
        manifest = bundles.read_manifest(bundle)
        scores: dict[str, float] = {}
        try:
            for rows, scored in bundles.read_document(bundle, "performance.json").items():
                scores |= metrics.flatten(scored, rows)
            digest = str(bundles.read_document(bundle, "splits.json")["data"]["digest"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BundleError(
                f"{bundle} does not say what its run gave ({type(error).__name__}: {error})."
            ) from None
        return cls(
            digest=digest,
            metrics=scores,
            parts={k: v for k, v in manifest["parts"].items() if k not in IGNORED_PARTS},
            circumstances=_list_circumstances(records.read_provenance(bundle)),
        )

    def collect_results(self) -> dict[str, str | float]:
        """Return all results by name, with the digest of the data first."""
        parts = {f"content of {name}": of_part for name, of_part in self.parts.items()}
        return {"data (SHA-256)": self.digest, **self.metrics, **parts}


def _list_circumstances(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return the versions, the code and the platform of a run."""
    git = provenance["git"]
    return {
        **provenance["versions"],
        "git commit": git.get("commit", "no checkout"),
        DIRTY: git.get("dirty", "no checkout"),
        "platform": provenance["platform"],
    }


@dataclass(frozen=True)
class Difference:
    """A line of the table: what differs, and its two values."""

    what: str
    recorded: str
    now: str


@dataclass(frozen=True)
class RerunComparison:
    """Two runs of one configuration.

    Args:
        results: differences of the results, the data first; empty if the run is reproduced.
        circumstances: differences of versions, code and platform, which may be the reason.
        metrics: how many were compared.
        parts: how many parts of the bundle were compared.
    """

    results: list[Difference]
    circumstances: list[Difference]
    metrics: int
    parts: int

    @property
    def equal(self) -> bool:
        """Whether all results are the same to the last bit."""
        return not self.results

    @property
    def compared(self) -> str:
        """What was compared, as a phrase."""
        return f"the data, {self.metrics} metrics and {self.parts} parts of the bundle"

    def build_document(self, run_id: str, rerun_of: str) -> dict[str, Any]:
        """Return the comparison as a JSON document."""
        return {
            "rerun_of": rerun_of,
            "run_id": run_id,
            "equal": self.equal,
            "results": [asdict(difference) for difference in self.results],
            "circumstances": [asdict(difference) for difference in self.circumstances],
        }


def compare_runs(before: RunFingerprint, now: RunFingerprint) -> RerunComparison:
    """Compare a rerun with the run that it repeats.

    Args:
        before: fingerprint of the first run.
        now: fingerprint of the rerun.
    """
    recorded, found = before.collect_results(), now.collect_results()
    # Earlier versions did not have them.
    for name in [name for name in found if _is_standard(name) and name not in recorded]:
        del found[name]
    results = _differences(recorded, found)
    circumstances = _differences(before.circumstances, now.circumstances)
    if results and before.circumstances.get(DIRTY) == now.circumstances.get(DIRTY) == "true":
        # The uncommitted changes may differ, and may be the reason.
        circumstances.append(Difference(DIRTY, "true", "true"))
    compared = len(now.metrics.keys() & found.keys())
    return RerunComparison(results, circumstances, compared, len(now.parts))


def _is_standard(name: str) -> bool:
    part, _, rest = name.partition("_")
    return part in ("val", "test") and (rest in SCORE_NAMES or rest.startswith("interval/"))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    return [
        Difference(name, _text(before, name), _text(now, name))
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    ]


def _text(values: Mapping[str, Any], name: str) -> str:
    """Return a value as a text with all its digits."""
    value = values.get(name, MISSING)
    return value if isinstance(value, str) else repr(value)
