"""The notebook of examples/, run from its first cell to its last one."""

import re
import shutil
from pathlib import Path

import pytest

from tests import optional
from tests.documents.pages import ROOT

NOTEBOOK = ROOT / "examples/embeddings.ipynb"
EXAMPLES = "pip install -e '.[examples]'"


@pytest.mark.slow
def test_the_notebook_ends_with_a_picture_and_equal_rows(
    stand_in_model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("ipykernel", "matplotlib", "nbclient", "nbformat"):
        optional.need_module(module, EXAMPLES)
    import nbclient
    import nbformat

    monkeypatch.setenv("EMBEDDING_MODEL", stand_in_model)
    # Its processes import the program from this checkout.
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    shutil.copy(NOTEBOOK, tmp_path)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    outputs = [each for cell in notebook.cells for each in cell.get("outputs", ())]
    printed = "".join(each.get("text", "") for each in outputs)
    assert re.findall(r"^(\S+) \((\d+), 128\)$", printed, re.MULTILINE) == [
        (name, "8") for name in ("clicks.wav", "hum.wav", "noise.flac", "siren.wav")
    ]
    assert "largest difference 0.0" in printed
    assert any("image/png" in each.get("data", {}) for each in outputs)


def test_the_notebook_is_kept_without_outputs() -> None:
    text = NOTEBOOK.read_text()
    assert '"outputs": []' in text
    assert "image/png" not in text
