"""task=rollback: give the champion's alias back to the version that had it before."""

from __future__ import annotations

from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.exceptions import ConfigError
from tagifai.runs import promotion
from tagifai.tracking import registry
from tagifai.tracking.registry import PREVIOUS_TAG, ROLLED_BACK_TAG


def run(config: Config) -> None:
    """Move the alias back; `task=promote` takes the version again only if its run is named."""
    with promotion.lock_registry(config) as models:
        present = models.get_champion()
        if present is None:
            raise ConfigError(f"The registered model {models.name!r} has no champion.")
        number = present.tags.get(PREVIOUS_TAG)
        before = None if number is None else models.get_version(int(number))
        if before is None:
            gone = "" if number is None else f" Version {number}, the one before, was deleted."
            raise ConfigError(
                f"Version {present.number} is the champion, and there is no earlier one to go"
                f" back to.{gone}"
            )
        models.set_champion(before)
        models.set_tags(present, {ROLLED_BACK_TAG: "true", PREVIOUS_TAG: None})
    display = Display.from_config(config.console)
    display.show_result(f"Version {before.number} is the champion of {models.name} again.")
    for version, name in ((before, "Champion"), (present, "Rolled back")):
        display.show_fact(name, f"version {version.number}, run {version.run_id}", result=True)
    display.show_fact("Use it", f"models:/{models.name}@{registry.CHAMPION}, task.run_id=champion")
