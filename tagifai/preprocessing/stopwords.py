"""Stop words by language, from the package `stop-words`."""

from __future__ import annotations

from tagifai.exceptions import ConfigError, suggest_closest


def get_for_language(language: str) -> list[str]:
    """Return the stop words of a language, by its name or its code, such as german or de.

    Raises:
        ConfigError: there is no list for it; with those that there are.
    """
    # Late: few runs need them.
    from stop_words import LANGUAGE_MAPPING, StopWordError, get_stop_words

    try:
        return sorted(get_stop_words(language), key=lambda word: (-len(word), word))
    except StopWordError:
        known = sorted({*LANGUAGE_MAPPING, *LANGUAGE_MAPPING.values()})
        raise ConfigError(
            f"preprocessing.language = {language!r}: there are no stop words for it."
            f"{suggest_closest(language, known)} There are: {', '.join(sorted(LANGUAGE_MAPPING))}."
        ) from None
