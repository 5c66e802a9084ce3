"""CollectLabels."""

from tests.running import outputs
from transforms.collect_labels import CollectLabels
from transforms.corpus.clips import Clip
from transforms.corpus.labels import ClassMap

CLIPS = [
    Clip(str(index), "/x", labels=labels)
    for index, labels in enumerate([("b", "ü"), (), ("a,b",), ("b",), ("B", "a,b")])
]


def test_the_labels_of_all_clips_are_numbered_in_their_order() -> None:
    for clips in (CLIPS, CLIPS[::-1]):
        (maps,) = outputs(CollectLabels(), clips, "map")
        names = ["B", "a,b", "b", "ü"]
        assert maps == [ClassMap(tuple((i, name, name) for i, name in enumerate(names)))]


def test_without_labels_or_clips_there_are_no_classes() -> None:
    for clips in ([Clip("a", "/x")], []):
        assert outputs(CollectLabels(), clips, "map") == [[ClassMap(())]]
