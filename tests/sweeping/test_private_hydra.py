"""What `sweeping/_hydra.py` takes of Hydra is still there."""

from __future__ import annotations

import inspect

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from tagifai.sweeping import _hydra
from tests.private_names import require, require_import

FENCE = "tagifai/sweeping/_hydra.py"


def test_hydra_has_its_loader_which_applies_overrides_to_what_is_composed() -> None:
    loader = require_import(
        "hydra._internal.config_loader_impl.ConfigLoaderImpl", "hydra-core", FENCE
    )
    require(loader, ["_apply_overrides_to_config"], "hydra-core", FENCE)
    cfg = OmegaConf.create({"a": {"b": 1, "c": 2}})
    _hydra.apply_overrides(OverridesParser.create().parse_overrides(["a.b=3"]), cfg)
    assert cfg == {"a": {"b": 3, "c": 2}}


def test_a_job_has_what_it_returned_or_the_error_it_failed_with() -> None:
    require(JobReturn(), ["_return_value"], "hydra-core", FENCE)
    job, error = JobReturn(), ValueError("no")
    job.return_value = 0.5
    assert _hydra.get_return_value(job) == 0.5
    job.status, job.return_value = JobStatus.FAILED, error
    assert _hydra.get_return_value(job) is error


def test_hydra_has_its_sweeper_of_grids_which_writes_the_configuration_that_it_has() -> None:
    name = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"
    sweeper = require_import(name, "hydra-core", FENCE)
    source = inspect.getsource(sweeper.sweep)
    assert 'OmegaConf.save(self.config, sweep_dir / "multirun.yaml")' in source
    assert source.count("self.config") == 3, "and knows the folder from it"
