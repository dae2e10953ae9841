"""Loading: the model of a run, without Hydra where the run is on this machine."""

from __future__ import annotations

from pathlib import Path

from tagifai.config import extensions, paths
from tagifai.config.job import Job, use_job
from tagifai.models import bundles
from tagifai.models.tagger import Tagger
from tagifai.runs import resolve


def load(
    run: str | Path = resolve.LATEST,
    *overrides: str,
    stores: str | Path | None = None,
    trusted: bool = False,
) -> Tagger:
    """Return the tagger of a run.

    Args:
        run: "latest", "best" (by the objective's validation rows), "champion" (of the registered
            model), the id of a run, or the path of a bundle.
        overrides: as on the command line, for "best", "champion" and runs of a tracking store.
        stores: the folder of stores; None is that of TAGIFAI_STORES, else that of the project,
            which without a checkout is `stores` below the working directory.
        trusted: whether you trust who made the bundle at a path: elsewhere than below the stores
            and the project's outputs, what could hang this process is refused otherwise.

    Raises:
        UserError: there is no such run, or its bundle cannot be trusted.

    Example:
        >>> tagger = tagifai.load()
        >>> tagger.predict("A corpus of dialogues")["predicted_tag"] in tagger.labels
        True
    """
    extensions.read_environment()
    extensions.load_files()
    path = Path(run)
    folder = Path(stores).expanduser().absolute() if stores else paths.get_stores()
    if isinstance(run, Path) or path.name != run or (path / bundles.MANIFEST).is_file():
        return _load_folder(path.expanduser(), folder, trusted)
    if not overrides and (run == resolve.LATEST or bundles.get_path(folder, run).is_dir()):
        return resolve.load_tagger(folder, None if run == resolve.LATEST else run, uri=None)[1]
    # Only the tracking store knows it, or has it.
    named = ["task=predict", f"task.run_id={run}", f"paths.stores={folder}"]
    from tagifai.api.functions import compose_config  # late: a model is loaded without Hydra
    from tagifai.api.isolation import call_hydra

    config = call_hydra([*named, *overrides], compose_config)
    with use_job(Job(folder, overrides=(*named, *overrides))):
        return bundles.load(resolve.choose_run(config)[1])


def _load_folder(path: Path, stores: Path, trusted: bool) -> Tagger:
    """Return the tagger of a bundle: one that is not of this project may be anybody's."""
    own = (stores.resolve(), (paths.get_root() / "outputs").resolve())
    as_marked = any(map(path.resolve().is_relative_to, own)) and not trusted
    return bundles.load(path, stranger=None if as_marked else not trusted)
