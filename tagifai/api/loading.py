"""Loading: the model of a run, without Hydra where the run is on this machine."""

from __future__ import annotations

from pathlib import Path

from tagifai.config import extensions, paths
from tagifai.config.job import Job, use_job
from tagifai.models import bundles
from tagifai.models.tagger import Tagger
from tagifai.runs import resolve


def load(
    run: str | Path = resolve.LATEST, *overrides: str, stores: str | Path | None = None
) -> Tagger:
    """Return the tagger of a run.

    Args:
        run: "latest", "best" (by the objective's validation rows), "champion" (of the registered
            model), the id of a run, or the path of a bundle.
        overrides: as on the command line; they say which tracking store, experiment, objective or
            registered model is meant (`tracking.model=...`).
        stores: the folder of stores. None is that of the variable TAGIFAI_STORES, else that of the
            project, which without a checkout is `stores` below the working directory.

    Raises:
        UserError: there is no such run, or its bundle cannot be trusted.

    Example:
        >>> tagger = tagifai.load()
        >>> tagger.predict("A corpus of dialogues")["predicted_tag"] in tagger.labels
        True
    """
    extensions.load_files()
    path = Path(run)
    if isinstance(run, Path) or path.name != run or (path / bundles.MANIFEST).is_file():
        return bundles.load(path.expanduser())
    folder = Path(stores).expanduser().absolute() if stores else paths.get_stores()
    if not overrides and (run == resolve.LATEST or bundles.get_path(folder, run).is_dir()):
        return resolve.load_tagger(folder, None if run == resolve.LATEST else run, uri=None)[1]
    # Only the tracking store knows it, or has it. Late: a model is loaded without Hydra.
    named = ["task=predict", f"task.run_id={run}", f"paths.stores={folder}"]
    from tagifai.api.functions import compose_config
    from tagifai.api.isolation import call_hydra

    config = call_hydra([*named, *overrides], compose_config)
    with use_job(Job(folder, overrides=(*named, *overrides))):
        return bundles.load(resolve.choose_run(config)[1])
