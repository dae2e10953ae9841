"""task=init: copy the configuration into a folder of one's own."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

from tagifai.config import paths
from tagifai.config.schema import Config
from tagifai.console.display import Display
from tagifai.exceptions import ConfigError
from tagifai.utils import files, program
from tagifai.utils.system import errors
from tagifai.utils.terminal import format_path

README = """\
Options of tagifai: a folder is a group, a file in it an option. Change them, or add your own.
They are used where the folder is named, here from the one that it is in: {command}
A folder without {choices} adds its options to those of the package instead.
"""


def run(config: Config) -> None:
    """Copy the package's `conf/` to `task.path`, where nothing may be yet, and say how to use it.

    Raises:
        ConfigError: something is there, or no folder can be made there.
    """
    display, path = Display.from_config(config.console), Path(config.task.path)
    own = paths.get_own_conf_folder()
    if path.exists() or path.is_symlink():
        raise ConfigError(
            f"task.path: {path} is there already, and nothing is overwritten. Name a folder that"
            " does not exist yet: task.path=FOLDER"
        )
    if path.resolve().is_relative_to(own.resolve()):
        raise ConfigError(f"task.path: {path} is in the folder that is copied, {own}.")
    if not files.is_writable(path):
        raise ConfigError(paths.explain_unwritable(path, "task.path=..."))
    command = program.format_call("--config-dir", format_path(path))
    with errors.name_file(path), files.replace_folder_atomically(path) as made:
        shutil.copytree(own, made, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        # Of no place of this machine: the folder may be given to others.
        used = f"tagifai --config-dir {shlex.quote(path.resolve().name)}"
        text = README.format(command=used, choices=paths.CHOICES)
        (made / "README.md").write_text(text, encoding="utf-8")
    count = len(list(path.rglob("*.yaml")))
    display.show_fact("Copied", f"{count} files of options", result=True)
    display.show_copyable("To", path, result=True)
    display.show_copyable("Use them", command, result=True)
