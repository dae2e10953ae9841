from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra._internal.callbacks import Callbacks
from hydra.core.config_loader import ConfigLoader
from hydra.types import HydraContext
from omegaconf import DictConfig

from tagifai.config.arguments import quote
from tagifai.exceptions import ConfigError
from tagifai.sweeping.plugins.stock import StockSweeper

Stock = Callable[..., StockSweeper]


@pytest.fixture
def stock(
    loader: ConfigLoader,
    masters: Callable[..., DictConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Stock:
    monkeypatch.setenv("TAGIFAI_ROOT", str(tmp_path))
    monkeypatch.setenv("TAGIFAI_STORES", str(tmp_path / "stores"))

    def stock(*overrides: str) -> StockSweeper:
        master = masters("hydra/sweeper=optuna", *map(quote, overrides))
        settings: Any = master.hydra.sweeper
        assert settings._target_ == "tagifai.sweeping.plugins.stock.StockSweeper"
        made = StockSweeper(**{k: v for k, v in settings.items() if k != "_target_"})
        context = HydraContext(config_loader=loader, callbacks=Callbacks())
        made.setup(hydra_context=context, task_function=lambda _: None, config=master)
        return made

    return stock


@pytest.mark.parametrize(
    ("overrides", "directions"),
    [
        ([], ["maximize"]),
        (["objective.metric=val_loss"], ["minimize"]),
        (["objective.direction=minimize", "hydra.sweeper.direction=minimize"], ["minimize"]),
        (["objective.metric=[val_f1,model_bytes]"], ["maximize", "minimize"]),
    ],
)
def test_the_stock_sweeper_follows_the_objective(
    overrides: list[str], directions: list[str], stock: Stock
) -> None:
    assert stock(*overrides).sweeper.direction == directions


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("hydra.sweeper.direction=minimize", "hydra.sweeper.direction = minimize, and objective."),
        ("sweep.preview=true", "sweep.preview = True: hydra/sweeper=optuna does not heed it. Use"),
        ("sweep.stop=improvement", "sweep.stop = improvement: hydra/sweeper=optuna does not"),
        ("objective.constraints={model_bytes: <= 5}", "objective.constraints = {'model_bytes':"),
    ],
)
def test_what_it_would_not_heed_is_refused(override: str, said: str, stock: Stock) -> None:
    with pytest.raises(ConfigError) as caught:
        stock(override)
    assert str(caught.value).startswith(said)


def test_a_secret_is_refused_where_the_launcher_writes_its_jobs_to_files(stock: Stock) -> None:
    secret = "tracking.uri=https://somebody:hunter2@host/mlflow"
    stock(secret)
    with pytest.raises(ConfigError, match=r"^tracking\.uri: there is a secret in it"):
        stock(secret, "hydra/launcher=submitit_local")
