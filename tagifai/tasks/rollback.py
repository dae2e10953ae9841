"""task=rollback: give the champion's alias back to the version that had it before."""

from __future__ import annotations

from tagifai import promotion, registry
from tagifai.console import Display
from tagifai.errors import ConfigError
from tagifai.registry import PREVIOUS, ROLLED_BACK
from tagifai.schema import Config


def run(config: Config) -> None:
    """Move the alias back; `task=promote` takes the version again only if its run is named."""
    with promotion.deciding(config) as models:
        present = models.champion()
        if present is None:
            raise ConfigError(f"The registered model {models.name!r} has no champion.")
        number = present.tags.get(PREVIOUS)
        before = None if number is None else models.version(int(number))
        if before is None:
            gone = "" if number is None else f" The one before, version {number}, is gone."
            raise ConfigError(
                f"There is no version to go back to from {present.number}, the champion.{gone}"
            )
        models.crown(before)
        models.tag(present, {ROLLED_BACK: "true", PREVIOUS: None})
    display = Display.of(config.console)
    display.result(f"Version {before.number} is the champion of {models.name} again.")
    for version, name in ((before, "Champion"), (present, "Before")):
        display.fact(name, f"version {version.number}, run {version.run_id}", result=True)
    display.fact("Use it", f"models:/{models.name}@{registry.CHAMPION}, task.run_id=champion")
