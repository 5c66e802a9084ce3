"""Lists of labels as programs print them: JSON, Python, NumPy, pandas, PyTorch and R.

`["dog", "cat"]`, `['cow', 'hen']`, `('cow',)`, `{'cow'}`, `['cow' 'hen']`, `[1. 2.]`,
`array(['cow'], dtype=object)`, `tensor([1, 2])`, `c("cow", "hen")`.
"""

import dataclasses
import re
from collections.abc import Sequence

# Missing values as pandas, Python, JSON, databases, R, spreadsheets and BIDS print them.
NULLS = frozenset({"nan", "NaN", "None", "null", "NULL", "<NA>", "NA", "N/A", "#N/A", "n/a"})

_WRAPPER = re.compile(
    r"(?:(?:np\.|numpy\.)?(?:array|frozenset|set|list|tuple)\("
    r"|(?:\w{1,30}\.)?[a-zA-Z_]\w{0,30}\((?=\s*[\[({'\"]))"
    r"(?P<inside>.*?)(?:,\s*\w{1,30}=[^,()]*){0,3}\)",
    re.DOTALL,
)
_CLOSING = {"[": "]", "(": ")", "{": "}"}
_ITEM = re.compile(
    r"""\s*(?:
    (?P<wrapper>(?:np|numpy)\.(?:str_|int\d+|float\d+)\(\s*)?
    (?:[bu]?(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?)
    |(?P<null>nan|NaN|None|null|<NA>))
    (?(wrapper)\s*\))
    )(?P<end>\s*,\s*|\s+(?=\S)|\s*$)""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_LIKE_A_LIST = re.compile(r"[\[({]\s*(?:[bu]?['\"]|[\[({])|(?:np\.|numpy\.)?array\(|\[[^\]]*\.\.\.")
_ESCAPE = re.compile(
    r"\\(?:(?P<character>[abfnrtv0/\\'\"])"
    r"|x(?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>000[0-9a-fA-F]{5}|0010[0-9a-fA-F]{4}))"
)
_CHARACTERS = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_BITS = frozenset({"0", "1"})
_ONES = frozenset({"1", "1.", "1.0"})
_WHOLE_FLOAT = re.compile(r"[+-]?[0-9]+\.0*", re.ASCII)


def parse_list(text: str) -> list[str] | None:
    """Parses a flat list of text and numbers.

    Args:
      text: A cell without surrounding spaces.

    Returns:
      The items as text, without missing values; None if the text is no list.

    Raises:
      ValueError: The text is like a list of labels, but is none.
    """
    wrapped = _WRAPPER.fullmatch(text)
    inside = wrapped["inside"].strip() if wrapped else text
    if wrapped and not inside:
        return []
    is_enclosed = len(inside) > 1 and _CLOSING.get(inside[0]) == inside[-1]
    is_call = wrapped is not None and inside[0] in "'\""
    items = _items(inside[1:-1] if is_enclosed else inside) if is_enclosed or is_call else None
    if items is None or (inside[0] == "(" and items.is_lone_number):
        if not _LIKE_A_LIST.match(text):
            return None
        raise ValueError(
            "must be a list of text or numbers in one pair of brackets, all quotes closed and"
            ' nothing left out, such as ["dog", "cat"]'
        )
    return items.texts


def check_no_vector(items: Sequence[str]) -> None:
    """Refuses labels that are a vector, such as 0, 1, 0: it has 1 for the classes that apply.

    Raises:
      ValueError: There are at least three of 0 and 1, and not only 1.
    """
    if len(items) > 2 and _BITS.issuperset(map(whole_number, items)) and set(items) - _ONES:
        raise ValueError(
            "must name the labels, and not be a vector of 0 and 1 with a place for each class"
        )


def whole_number(text: str) -> str:
    """Returns 1 for 1.0, as data frames with missing values print integers; else the text."""
    return text.partition(".")[0] if _WHOLE_FLOAT.fullmatch(text) else text


@dataclasses.dataclass(frozen=True)
class _Items:
    """Items of a list, and whether that is one number without a comma behind it."""

    texts: list[str]
    is_lone_number: bool


def _items(body: str) -> _Items | None:
    texts: list[str] = []
    position = 0
    num_items = 0
    match = None
    while position < len(body) and body[position:].strip():
        match = _ITEM.match(body, position)
        if match is None:
            return None
        num_items += 1
        if match["quoted"] is not None:
            texts.append(_unescape(match["quoted"][1:-1]))
        elif match["number"] is not None:
            texts.append(whole_number(match["number"]))
        position = match.end()
    has_comma = match is not None and "," in match["end"]
    is_lone_number = match is not None and num_items == 1 and not match["quoted"] and not has_comma
    return _Items(texts, is_lone_number)


def _unescape(text: str) -> str:
    if "\\" in text:
        text = _ESCAPE.sub(_unescaped, text)
        # json.dumps writes characters beyond U+FFFF as two surrogates.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if "\0" in text or "\ufffd" in text:
        raise ValueError("must not contain NUL or a lone surrogate")
    return text


def _unescaped(match: re.Match[str]) -> str:
    code = match["x"] or match["u"] or match["U"]
    if code:
        return chr(int(code, 16))
    character = match["character"]
    return "\0" if character == "0" else _CHARACTERS.get(character, character)
