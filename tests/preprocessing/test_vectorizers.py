from __future__ import annotations

import math

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion

from tagifai.preprocessing.vectorizers import adapt_to_texts, has_no_spaces, tfidf, union


def test_two_scalars_become_the_range_of_n_grams() -> None:
    vectorizer = tfidf(2, 3, analyzer="char")
    assert isinstance(vectorizer, TfidfVectorizer)
    vectorizer.fit(["abcd"])
    assert sorted(vectorizer.vocabulary_) == ["ab", "abc", "bc", "bcd", "cd"]


def test_one_length_of_n_grams_is_a_range_too() -> None:
    assert sorted(tfidf(1, 1, analyzer="word").fit(["see the cat"]).vocabulary_) == [
        "cat",
        "see",
        "the",
    ]


def test_other_arguments_go_by_their_own_names() -> None:
    vectorizer = tfidf(1, 1, analyzer="char", min_df=2, lowercase=False, norm=None, use_idf=False)
    matrix = vectorizer.fit_transform(["aab", "aAc"])
    assert list(vectorizer.vocabulary_) == ["a"]
    assert matrix.toarray().tolist() == [[2.0], [1.0]]


def test_weights_are_term_frequency_times_inverse_document_frequency() -> None:
    matrix = tfidf(1, 1, analyzer="char", norm=None).fit_transform(["aab", "a"]).toarray()
    rare = math.log(3 / 2) + 1
    assert matrix.tolist() == [[2.0, pytest.approx(rare)], [1.0, 0.0]]


def test_an_argument_that_the_vectorizer_does_not_take_is_an_error() -> None:
    with pytest.raises(TypeError, match="n_grams"):
        tfidf(1, 2, n_grams=3)


# --- words and characters together -------------------------------------------------------------


CHINESE = ["今天天气很好我们去公园", "这个手机用了iPhone的系统 2024 年"]
THAI = ["วันนี้อากาศดีมาก", "อาหารร้านนี้อร่อย"]
JAPANESE = ["これはとてもいい本です", "カメラの電池がすぐ切れる"]
KOREAN = ["오늘은 날씨가 좋습니다", "이 식당은 음식이 맛있어요"]
GERMAN = ["Die Straße ist schön und grün", "Übermäßig große Äpfel"]
MIXED = ["the word 模型 means model in this sentence", "an English text about 北京 and its people"]


def whole(char_analyzer: str = "auto", **more: object) -> FeatureUnion:
    return union(1, 2, 2, 3, char_analyzer, 1.0, **more)


def analyzers(vectorizer: FeatureUnion) -> tuple[str, str]:
    parts = dict(vectorizer.transformer_list)
    return parts["word"].analyzer, parts["char"].analyzer


def words(vectorizer: FeatureUnion) -> set[str]:
    return set(dict(vectorizer.transformer_list)["word"].vocabulary_)


@pytest.mark.parametrize("texts", [CHINESE, THAI, JAPANESE], ids=["Chinese", "Thai", "Japanese"])
def test_texts_without_spaces_get_n_grams_across_words_and_letters_as_words(
    texts: list[str],
) -> None:
    vectorizer = whole()
    assert has_no_spaces(texts)
    assert adapt_to_texts(vectorizer, texts) is True
    assert analyzers(vectorizer) == ("word", "char")
    vectorizer.fit(texts)
    single = {letter for letter in "".join(texts) if letter.isalpha() and not letter.isascii()}
    assert single <= words(vectorizer)
    assert texts[0][:2].lower() in dict(vectorizer.transformer_list)["char"].vocabulary_


def test_latin_words_and_numbers_among_chinese_stay_whole() -> None:
    vectorizer = whole()
    adapt_to_texts(vectorizer, CHINESE)
    assert {"iphone", "2024", "今", "今 天"} <= words(vectorizer.fit(CHINESE))
    assert not {"i", "2"} & words(vectorizer)


@pytest.mark.parametrize(
    "texts", [KOREAN, GERMAN, MIXED, [""], []], ids=["Korean", "German", "mixed", "empty", "none"]
)
def test_texts_with_spaces_get_n_grams_within_words(texts: list[str]) -> None:
    vectorizer = whole()
    assert not has_no_spaces(texts)
    assert adapt_to_texts(vectorizer, texts) is False
    assert analyzers(vectorizer) == ("word", "char_wb")
    pattern = dict(vectorizer.transformer_list)["word"].token_pattern
    assert pattern == TfidfVectorizer().token_pattern


@pytest.mark.parametrize("analyzer", ["char", "char_wb"])
def test_an_analyzer_that_is_said_is_taken_whatever_the_texts(analyzer: str) -> None:
    vectorizer = whole(analyzer)
    assert adapt_to_texts(vectorizer, CHINESE) is False
    assert analyzers(vectorizer) == ("word", analyzer)


def test_a_vectorizer_that_leaves_nothing_open_is_left_alone() -> None:
    vectorizer = tfidf(1, 1, analyzer="word")
    before = vectorizer.get_params()
    assert adapt_to_texts(vectorizer, CHINESE) is False
    assert vectorizer.get_params() == before


def test_a_pattern_of_words_is_of_the_words_alone() -> None:
    vectorizer = whole("char_wb", token_pattern=r"(?u)\w+|[^\w\s]")
    texts = ["Is it? I do!", "a b"]
    assert {"?", "!", "i", "a"} <= words(vectorizer.fit(texts))
    plain = whole("char_wb").fit(texts)
    assert not {"?", "!", "i", "a"} & words(plain)
    columns = [dict(v.transformer_list)["char"].vocabulary_ for v in (vectorizer, plain)]
    assert columns[0] == columns[1]


def test_a_pattern_of_words_that_is_said_stays_where_there_are_no_spaces() -> None:
    vectorizer = whole(token_pattern=r"(?u)\w\w")
    assert adapt_to_texts(vectorizer, CHINESE) is True
    assert {"今天", "天气"} <= words(vectorizer.fit(CHINESE))
