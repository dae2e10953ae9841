"""The published pipeline's rows, cleaned and labelled, with pandas and no more."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import yaml

ROOT = Path(__file__).parents[2]
ACCEPTED = ("natural-language-processing", "computer-vision", "mlops", "graph-learning")
MIN_FREQ = 75


def stopword_list() -> list[str]:
    settings = yaml.safe_load((ROOT / "conf/preprocessing/default.yaml").read_text())
    return ", ".join(settings["stopwords"]).split(", ")


def stopwords() -> re.Pattern[str]:
    return re.compile(r"\b(" + "|".join(stopword_list()) + r")\b\s*")


def cleaned(text: str, unwanted: re.Pattern[str]) -> str:
    text = unwanted.sub("", text.lower())
    text = re.sub(r"([!\"'#$%&()*\+,-./:;<=>?@\\\[\]^_`{|}~])", r" \1 ", text)
    text = re.sub("[^A-Za-z0-9]+", " ", text)
    return re.sub(r"http\S+", "", re.sub(" +", " ", text).strip())


def table(projects: str, tags: str) -> pd.DataFrame:
    unwanted = stopwords()
    rows = pd.merge(pd.read_csv(projects), pd.read_csv(tags), on="id")
    rows["text"] = (rows.title + " " + rows.description).map(lambda t: cleaned(t, unwanted))
    rows.loc[~rows.tag.isin(ACCEPTED), "tag"] = "other"
    rare = rows.tag.map(rows.tag.value_counts()) < MIN_FREQ
    rows.loc[rare, "tag"] = "other"
    return rows
