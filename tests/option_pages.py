"""The pages of tasks and groups below docs/, made from the schemas and from conf/.

python -m tests.option_pages        # writes them
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from tagifai.config.schema import CUSTOM_OPTIONS, SCHEMA_CLASSES, Config
from tagifai.help.options import CUSTOM, GROUPS, list_meanings, list_tasks, read_about, read_choices
from tagifai.sweeping.sweeper import SearchSweeperConfig
from tests.app import ROOT
from tests.parameters import default_of, escaped, first_sentence, parameters, shown

CONF = ROOT / "conf"
DOCS = ROOT / "docs"

COMMAND = "python -m tests.option_pages"

SOURCES = "tagifai/config/schema/ and conf/"
FOOT = f"<!-- Made by `{COMMAND}` from {SOURCES}: what is changed here is lost. -->"

GUIDES = {
    "own-data": ("data", "elt", "preprocessing", "split"),
    "search": ("sweep", "experiment", "pruner", "sweeper"),
    "cluster": ("launcher",),
    "compare": ("compare", "curve", "errors", "evaluate", "nested", "runs", "tracking"),
    "records": ("clean", "repair", "sync", "cache"),
    "reports": ("plots",),
    "share-and-serve": (*("predict", "promote", "rollback", "serve", "export", "import", "rerun"),),
    "extend": ("init", "vectorizer", "model", "sampling", "threshold"),
}
"""Guides, and the pages that they tell more of."""

EXAMPLES = {
    "train": ["task=train", "vectorizer=tfidf_word model.alpha=1e-5 training.patience=5"],
    "predict": [
        'task=predict task.text="Detecting cars in video"',
        "task=predict task.input=texts.txt task.output=tagged.jsonl",
        "task=predict task.input=mails.csv task.output=tagged.csv task.keep=all task.top_k=3",
    ],
    "evaluate": ["task=evaluate", "task=evaluate task.data=labelled.csv task.output=scores.json"],
    "errors": ["task=errors", "task=errors task.part=val task.limit=20 task.words=3"],
    "compare": [
        "task=compare",
        "task=compare task.metric=test_f1 task.baseline=tfidf_word task.output=board.md",
    ],
    "runs": ["task=runs", "task=runs task.limit=50 task.output=runs.csv"],
    "nested": ["task=nested", "task=nested task.splits=10 task.sweep=text task.trials=40"],
    "curve": ["task=curve", "task=curve task.shares=[0.25,0.5,1] task.repeats=5"],
    "promote": ["task=promote", "task=promote task.run_id=best task.metric=val_loss"],
    "rollback": ["task=rollback"],
    "serve": ["task=serve", "task=serve task.run_id=latest task.port=8080"],
    "rerun": ["task=rerun", "task=rerun task.run_id=best"],
    "elt": [
        "task=elt data=madewithml",
        "task=elt data=table data.path=reviews.csv task.force=true",
    ],
    "export": ["task=export task.path=model.zip"],
    "import": ["task=import task.path=model.zip"],
    "clean": ["task=clean", "task=clean task.days=7 task.max_gb=2 task.apply=true"],
    "sync": ["task=sync"],
    "repair": ["task=repair", "task=repair task.apply=true"],
    "info": ["task=info"],
    "init": ["task=init", "task=init task.path=my_conf"],
}
"""Arguments that a test composes."""

MORE = {
    "train": "The data set is made first if it is missing. The objective, which a search optimizes,"
    " is `objective.metric`; it is shown at the end.",
    "elt": "It does so only if anything has changed, and shows the profile of the data: classes,"
    " lengths, scripts, duplicates and near-duplicates, texts in more than one part, labels that"
    " look alike, junk. The profile is in `profile.json` in the output folder, too.",
    "errors": "Of linear models it also shows which words led to a mistake, and which words spoke"
    " for the true class.",
    "nested": "Each split is begun by its own seed. An interrupted estimate goes on where it was"
    " when it is started again. Nothing of it is tracked, and the latest run stays the latest: the"
    " scores are in `nested.json` in the output folder, with what each search chose.",
    "curve": "Test rows are the same in all trainings, and so are validation rows; none is refitted"
    " to these. The scores are in `curve.json` in the output folder, with a report that shows them."
    " Nothing of it is tracked.",
    "compare": "Each data set is ranked by itself, and test scores are shown beside. A row has mean"
    " and deviation and, to the baseline, the paired difference with its interval (Student's t).",
    "runs": "The parent of a multirun or search has the scores of its best child; `task.parent=ID`"
    " lists its children. What a filter finds without its parent is a row of its own.",
    "promote": "The best candidates are listed with what they were ranked by. The best one and the"
    " champion are compared on the same test rows, and the difference is shown with its interval."
    " Trials of searches are never promoted.",
    "rerun": "The two are compared to the last bit. If they differ, a table shows how, and the exit"
    " code is 1.",
    "import": "The run keeps its id, and the latest run stays the latest.",
    "clean": "Pruned trials and unfinished writes are among them. A model is unused if it is"
    " neither the latest, nor the best on its data by the objective, nor registered, nor the one"
    " that a search has trained whose preset is there. Output folders that presets name stay, too.",
    "repair": "What is damaged is renamed into the folder `damaged` of the stores, or of the"
    " outputs, by the day, and a tracking database beside itself. What killed processes have left"
    " half written or half removed is finished, and their runs are closed.",
    "sync": "Each run is recorded exactly once, however often it is tried: parents first, metrics"
    " with their times. The exit code is 0 if nothing is left, and 3 if something is.",
    "init": "It is for those who have no checkout. The options of the folder take the"
    " place of the package's where `--config-dir` names it. Nothing is overwritten.",
    "predict": "It uses the run's own cleaning, model and threshold.",
    "evaluate": "The rows are the run's own test rows, or those of a labelled file.",
}
"""Sentences about a task beside its schema."""

DECIDES = {
    **GROUPS,
    "sweeper": "sampler, trials, workers and space of a search",
    "pruner": GROUPS["hydra/sweeper/pruner"],
    "launcher": GROUPS["hydra/launcher"],
}
"""What a group decides, by the name of its page."""

WITHOUT_GROUP = ("training", "objective", "sweep", "paths")
"""Settings of the configuration that belong to no group."""

PLACES = {"pruner": "hydra/sweeper/pruner", "launcher": "hydra/launcher"}
"""Groups of Hydra's that have options of ours."""


@dataclass(frozen=True)
class Option:
    """A file below conf/.

    Args:
        name: of the file.
        about: the comment at its head.
        content: what it holds.
        text: the file without that comment.
    """

    name: str
    about: str
    content: Mapping[str, Any]
    text: str

    @classmethod
    def read(cls, path: Path) -> Option:
        text = path.read_text(encoding="utf-8").removeprefix("# @package _global_\n")
        head = re.match(r"(#.*\n)*", text)
        rest = text[len(head[0]) if head else 0 :]
        return cls(path.stem, read_about(path), yaml.safe_load(rest) or {}, rest)

    def schema(self, group: str) -> type | None:
        """Return the schema that the file names, or that its group has."""
        found = [d for d in self._defaults() if d.startswith("/schema/")]
        if found:
            return SCHEMA_CLASSES[found[0].removeprefix("/schema/").removesuffix("@_here_")]
        kind = get_type_hints(Config).get(group)
        return kind if isinstance(kind, type) and is_dataclass(kind) else None

    def settings(self) -> list[str]:
        """Return what it chooses, and what it builds on."""
        like = [f"as `{d}`" for d in self._defaults() if "/" not in d and " " not in d]
        return [*like, *(f"`{key}={shown(value)}`" for key, value in flat(self.content))]

    def _defaults(self) -> list[str]:
        return [d for d in self.content.get("defaults", []) if isinstance(d, str)]


def flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in content.items():
        if isinstance(value, dict) and value:
            yield from flat(value, f"{prefix}{key}.")
        elif key != "defaults":
            yield f"{prefix}{key}", value


def options(group: str) -> list[Option]:
    """Return the options of a group, the default first."""
    first = read_choices().get(group)
    found = [Option.read(path) for path in sorted((CONF / group).glob("*.yaml"))]
    return sorted(found, key=lambda option: option.name != first)


# --- pages -------------------------------------------------------------------------------------


def pages() -> dict[Path, str]:
    """Return what the pages have to hold."""
    tasks = list_tasks()
    presets = ("experiment", "sweep")
    groups = [name for name in GROUPS if name in read_choices()]
    made = {DOCS / "tasks" / f"{name}.md": task_page(name) for name in tasks}
    made |= {DOCS / "groups" / f"{name}.md": group_page(name, name) for name in groups}
    made |= {DOCS / "groups" / f"{n}.md": preset_page(n) for n in presets}
    made |= {DOCS / "groups" / f"{n}.md": group_page(n, p) for n, p in PLACES.items()}
    made[DOCS / "groups" / "sweeper.md"] = sweeper_page()
    made[DOCS / "groups" / "settings.md"] = settings_page()
    made[DOCS / "configuration.md"] = contents(tasks, groups)
    return {path: "\n".join([*lines, "", FOOT]) + "\n" for path, lines in made.items()}


def see_also(name: str) -> list[str]:
    found = [f"[{title(g)}](../{g}.md)" for g, of in GUIDES.items() if name in of]
    return ["", f"See also: {', '.join(found)}."] if found else []


def title(guide: str) -> str:
    text = (DOCS / f"{guide}.md").read_text(encoding="utf-8")
    return text.splitlines()[0].removeprefix("# ")


def task_page(name: str) -> list[str]:
    schema = SCHEMA_CLASSES[f"task/{name}"]
    examples = [f"uv run run.py {arguments}" for arguments in EXAMPLES[name]]
    table = parameters(schema, "task") or ["It has no parameters of its own."]
    about = f"{first_sentence(schema)} {MORE.get(name, '')}".strip()
    lines = [f"# task={name}", "", about, "", "```sh", *examples, "```", ""]
    return [*lines, *table, *see_also(name)]


def group_page(name: str, place: str) -> list[str]:
    listed = options(place)
    lines = [
        f"# {place}",
        "",
        f"Decides {DECIDES[name]}.",
        "",
        "| option | what it is | its settings |",
        "|---|---|---|",
    ]
    for option in listed:
        default = " (default)" if option is listed[0] and place not in PLACES.values() else ""
        cells = [f"`{option.name}`{default}", option.about, ", ".join(option.settings())]
        lines.append(f"| {' | '.join(escaped(cell) for cell in cells)} |")
    if f"{place}/custom" in CUSTOM_OPTIONS:
        lines.append(f"| `custom` | {CUSTOM} | [`_target_`](#any-class) |")
    schemas = dict.fromkeys(s for o in listed if (s := o.schema(place)) is not None)
    for schema in schemas:
        users = [f"`{o.name}`" for o in listed if resolved(o, place, listed) is schema]
        if table := parameters(schema, place):
            heading = "Parameters" if len(schemas) == 1 else f"Parameters of {', '.join(users)}"
            lines += ["", f"## {heading}", "", first_sentence(schema), "", *table]
    if f"{place}/custom" in CUSTOM_OPTIONS:
        lines += ["", "## Any class", "", *custom(place)]
    return [*lines, *see_also(name)]


def resolved(option: Option, place: str, listed: list[Option]) -> type | None:
    """Return an option's schema, which may be that of the option it builds on."""
    like = [d for d in option._defaults() if "/" not in d and " " not in d]
    other = next((o for o in listed if like and o.name == like[0]), None)
    return resolved(other, place, listed) if other is not None else option.schema(place)


def custom(group: str) -> list[str]:
    example = {
        "model": "model._target_=sklearn.linear_model.RidgeClassifier +model.alpha=0.5",
        "vectorizer": "vectorizer._target_=sklearn.feature_extraction.text.CountVectorizer"
        " +vectorizer.analyzer=word",
    }[group]
    return [
        f"`{group}=custom` takes a class of scikit-learn or imbalanced-learn by its full name:",
        "",
        "```sh",
        f"uv run run.py {group}=custom {example}",
        "```",
    ]


def preset_page(group: str) -> list[str]:
    lines = [f"# {group}", "", f"These are {DECIDES[group]}. None is chosen by default."]
    for option in options(group):
        body = option.text.strip()
        lines += ["", f"## {group}={option.name}", "", option.about, "", "```yaml", body, "```"]
    return [*lines, *see_also(group)]


def sweeper_page() -> list[str]:
    lines = ["# hydra/sweeper", "", f"Decides {DECIDES['sweeper']}. The presets choose `tagifai`."]
    return [*lines, "", *parameters(SearchSweeperConfig, "hydra.sweeper"), *see_also("sweeper")]


def settings_page() -> list[str]:
    lines = ["# Settings without a group", ""]
    said = list_meanings(Config)
    defaults = {f.name: default_of(f) for f in fields(Config)}
    for name in ("seed", "metrics", "whitelist", "extensions"):
        lines += [f"- `{name}` (default {defaults[name]}): {said[name]}"]
    for name in WITHOUT_GROUP:
        schema = get_type_hints(Config)[name]
        lines += ["", f"## {name}", "", first_sentence(schema), ""]
        lines += parameters(schema, name)
    return lines


def contents(tasks: list[str], groups: list[str]) -> list[str]:
    lines = ["# Tasks and groups", "", "What a parameter is, its type, default and range."]
    lines += ["", "| task | what it does |", "|---|---|"]
    for name in tasks:
        about = first_sentence(SCHEMA_CLASSES[f"task/{name}"])
        lines.append(f"| [`{name}`](tasks/{name}.md) | {escaped(about)} |")
    lines += ["", "| group | options, the default first | what it decides |", "|---|---|---|"]
    for name in [*groups, "experiment", "sweep"]:
        known = [f"`{option.name}`" for option in options(name)]
        known += ["`custom`"] if f"{name}/custom" in CUSTOM_OPTIONS else []
        lines.append(f"| [`{name}`](groups/{name}.md) | {', '.join(known)} | {DECIDES[name]} |")
    for name, place in PLACES.items():
        known = [f"`{option.name}`" for option in options(place)]
        lines.append(f"| [`{place}`](groups/{name}.md) | {', '.join(known)} | {DECIDES[name]} |")
    lines.append(f"| [`hydra/sweeper`](groups/sweeper.md) | `tagifai` | {DECIDES['sweeper']} |")
    rest = ", ".join(f"`{name}`" for name in ("seed", "metrics", *WITHOUT_GROUP))
    return [*lines, "", f"Beside them: [settings without a group](groups/settings.md), {rest}."]


def write() -> None:
    made = pages()
    for path, text in made.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    for path in sorted({*(DOCS / "tasks").glob("*.md"), *(DOCS / "groups").glob("*.md")}):
        if path not in made:
            path.unlink()


if __name__ == "__main__":
    write()
