"""Labels and splits by the folders of recordings, in archives as well."""

from transforms.corpus.clips import Clip
from transforms.corpus.layouts.folders import FolderOptions


def test_folders_of_splits_are_found_in_archives_and_under_all_their_names() -> None:
    for id, uri, split in [
        ("train/dog/a.wav", "/in/train/dog/a.wav", "train"),
        ("val/x/dog/a.wav", "/in/val/x/dog/a.wav", "val"),
        ("Training/dog/a.wav", "/in/Training/dog/a.wav", "Training"),
        ("x.tar/evaluation/dog/a.wav", "tar://evaluation/dog/a.wav::/in/x.tar", "evaluation"),
        ("test/x.tar/dog/a.wav", "tar://dog/a.wav::/in/test/x.tar", "test"),
        ("x.tar/dog/a.wav", "tar://dog/a.wav::/in/x.tar", ""),
        ("trains/dog/a.wav", "/in/trains/dog/a.wav", ""),
    ]:
        found = FolderOptions(layout="audiofolder").applied(Clip(id, uri))
        assert isinstance(found, Clip)
        assert (found.id, found.labels, found.split) == (id, ("dog",), split)
