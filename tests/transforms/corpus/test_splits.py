"""Splits: a recording's follows from its name, and shares are kept to."""

import collections
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.corpus.clips import Clip
from transforms.corpus.splits import Splits, assign_splits, is_split_name, parse_splits

# The first 8 bytes of `printf 'split\0%s' NAME | sha256sum`, as a number.
PLACES = {
    "": 0x60CA404B999E9815,
    "a": 0x8C90DCAC7E970EB0,
    "--_4rKMKCyo": 0x8E8CDF28C9B68723,
    "dir/clip.wav": 0xB627473A9B0149C4,
    "ü": 0xDB8D8617786D64EF,
}
THREE = parse_splits("train=0.8,validation=0.1,test=0.1")

names_of_splits = st.text("abAB01_.-", min_size=1, max_size=6).filter(is_split_name)
weights = st.dictionaries(names_of_splits, st.integers(1, 20), min_size=1, max_size=6)


def of_weights(weights: dict[str, int]) -> Splits:
    total = sum(weights.values())
    return Splits(tuple((name, Fraction(weight, total)) for name, weight in weights.items()))


def test_the_split_of_a_recording_never_changes() -> None:
    for recording, split in [
        ("", "train"),
        ("a", "train"),
        ("--_4rKMKCyo", "validation"),
        ("dir/clip.wav", "test"),
        ("ü", "test"),
    ]:
        splits = parse_splits("train=0.55,validation=0.15,test=0.3")
        assert splits.split_of(recording) == split


def test_a_split_begins_exactly_where_the_one_before_it_ends() -> None:
    for recording, place in PLACES.items():
        for share, split in (
            (Fraction(place, 2**64), "second"),
            (Fraction(place + 1, 2**64), "first"),
        ):
            splits = Splits((("first", share), ("second", 1 - share)))
            assert splits.split_of(recording) == split


@given(weights=weights, prefix=st.text(max_size=3))
def test_each_split_gets_its_share_of_many_recordings(weights: dict[str, int], prefix: str) -> None:
    splits = of_weights(weights)
    num_names = 1_000
    found = collections.Counter(
        splits.split_of(f"{prefix}/{index:03}.wav") for index in range(num_names)
    )
    assert set(found) <= set(weights)
    for name, share in splits.shares:
        deviation = float(share * (1 - share) / num_names) ** 0.5
        assert abs(found[name] / num_names - share) <= 6 * deviation


@given(weights=weights, recording=st.text())
def test_another_order_of_the_splits_before_does_not_move_a_recording_of_the_last(
    weights: dict[str, int], recording: str
) -> None:
    (*others, last) = of_weights(weights).shares
    forwards, backwards = Splits((*others, last)), Splits((*others[::-1], last))
    of_last = {splits.split_of(recording) == last[0] for splits in (forwards, backwards)}
    assert len(of_last) == 1


@given(weights=weights)
def test_shares_that_sum_up_to_one_as_decimals_are_taken_and_exact(weights: dict[str, int]) -> None:
    total = sum(weights.values())
    *first, last = weights
    shares = {name: Decimal(weights[name] * 10**6 // total) / 10**6 for name in first}
    shares[last] = 1 - sum(shares.values(), Decimal(0))
    text = ", ".join(f"{name}={share}" for name, share in shares.items() if share)
    splits = parse_splits(text)
    assert splits.shares == tuple((n, Fraction(share)) for n, share in shares.items() if share)
    assert sum(share for _, share in splits.shares) == 1


def test_shares_are_exact() -> None:
    for text, shares in [
        ("all=1", {"all": Fraction(1)}),
        ("a=0.1,b=0.2,c=0.7", {"a": Fraction(1, 10), "b": Fraction(1, 5), "c": Fraction(7, 10)}),
        (" a=0.5 , b=5e-1 ", {"a": Fraction(1, 2), "b": Fraction(1, 2)}),
        (
            "a=0.000000000001,b=0.999999999999",
            {"a": Fraction(1, 10**12), "b": 1 - Fraction(1, 10**12)},
        ),
        ("v1_a-b=1.0", {"v1_a-b": Fraction(1)}),
    ]:
        assert parse_splits(text).shares == tuple(shares.items())


def test_invalid_shares_are_rejected_with_what_is_allowed() -> None:
    for text, message in [
        ("", "split name '' is invalid or occurs twice"),
        ("a=1,", "'' is invalid or occurs twice"),
        ("=1", "'' is invalid or occurs twice"),
        ("a=0.5,a=0.5", "'a' is invalid or occurs twice"),
        ("a/b=1", "'a/b' is invalid or occurs twice"),
        ("..=1", r"'\.\.' is invalid or occurs twice"),
        ("dataset.json=1", "'dataset.json' is invalid or occurs twice"),
        ("-a=1", "'-a' is invalid or occurs twice"),
        ("ü=1", "'ü' is invalid or occurs twice"),
        ("unsplit=1", "not starting with -, not unsplit"),
        ("x" * 101 + "=1", "is invalid or occurs twice"),
        ("a", r"'a' \(allowed: NAME=SHARE with a share from 0 to 1\)"),
        ("a=", "'a=' .allowed"),
        ("a=x", "'a=x' .allowed"),
        ("a=0", "'a=0' .allowed"),
        ("a=-0.5,b=1.5", "'a=-0.5' .allowed"),
        ("a=1.5", "'a=1.5' .allowed"),
        ("a=nan", "'a=nan' .allowed"),
        ("a=inf", "'a=inf' .allowed"),
        ("a=sNaN", "'a=sNaN' .allowed"),
        ("a=1/2,b=1/2", "'a=1/2' .allowed"),
        ("a=0.0000000000001,b=0.9999999999999", "'a=0.0000000000001' .allowed"),
        ("a=1e-999999999,b=1", "'a=1e-999999999' .allowed"),
        ("a=1e999999999", "'a=1e999999999' .allowed"),
        ("a=0.5", r"the shares sum to 0.5 \(allowed: 1\)"),
        ("a=0.333,b=0.333,c=0.333", "the shares sum to 0.999"),
        ("a=0.9,b=0.9", "the shares sum to 1.8"),
    ]:
        with pytest.raises(ValueError, match=message):
            parse_splits(text)


@given(name=st.text(max_size=5))
def test_the_name_of_a_split_is_that_of_a_folder_on_any_storage(name: str) -> None:
    assert not is_split_name(name) or (name.isascii() and not set(name) & set("/\\:*?[]\0\n "))


def _clip(id: str, recording: str = "", split: str = "") -> Clip:
    return Clip(id, "/uri", recording=recording, split=split)


@given(
    clips=st.lists(
        st.builds(_clip, st.text(max_size=3), st.text(max_size=3)), min_size=1, max_size=5
    ),
    weights=weights,
    data=st.data(),
)
def test_the_clips_of_a_recording_are_in_one_split(
    clips: list[Clip], weights: dict[str, int], data: st.DataObject
) -> None:
    splits = of_weights(weights)
    found = list(assign_splits(iter(clips), splits))
    assert [clip.id for clip in found] == [clip.id for clip in clips]
    (split,) = {clip.split for clip in found}
    assert split == splits.split_of(min(clip.recording or clip.id for clip in clips))
    shuffled = assign_splits(data.draw(st.permutations(clips)), splits)
    assert {clip.split for clip in shuffled} == {split}


def test_a_split_that_a_manifest_gives_stays() -> None:
    clips = [_clip("1", "a", "mine"), _clip("2", "a"), _clip("3", "a", "other")]
    found = assign_splits(clips, THREE)
    assert [clip.split for clip in found] == ["mine", THREE.split_of("a"), "other"]


def test_without_shares_nothing_changes() -> None:
    clips = [_clip("1", "a", "mine"), _clip("2", "a")]
    assert list(assign_splits(clips, None)) == clips
