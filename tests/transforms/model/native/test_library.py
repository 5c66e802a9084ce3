"""Which compiled engine a machine runs, and why none."""

import platform
from pathlib import Path

import pytest

from tests import native_engine
from transforms.model.native import library
from transforms.model.native.library import NativeUnavailableError


@pytest.fixture(autouse=True)
def _fresh_cache() -> None:
    library.load_library.cache_clear()


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx fma avx2 avx512f", ["avx512", "avx2", "portable"]),
        ("fpu avx fma avx2", ["avx2", "portable"]),
        ("fpu avx avx2 avx512f", []),
        ("fpu avx fma", ["portable"]),
        ("fpu avx512fp16", []),
        ("", []),
    ],
)
def test_an_x86_cpu_runs_what_its_flags_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: str, expected: list[str]
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    (tmp_path / "cpuinfo").write_text(
        f"model name\t: A\nflags\t\t: {flags}\nflags : avx fma avx2\n"
    )
    assert library.instruction_sets(tmp_path / "cpuinfo") == expected
    assert library.instruction_sets(tmp_path / "absent") == []


@pytest.mark.parametrize(
    ("machine", "expected"), [("aarch64", ["neon"]), ("arm64", ["neon"]), ("ppc64le", [])]
)
def test_other_cpus(monkeypatch: pytest.MonkeyPatch, machine: str, expected: list[str]) -> None:
    monkeypatch.setattr(platform, "machine", lambda: machine)
    assert library.instruction_sets() == expected


def test_the_best_installed_library_is_loaded() -> None:
    installed = native_engine.libraries()
    loaded = library.load_library()
    assert loaded.instructions == next(iter(installed))
    assert library.load_library() is loaded
    for instructions, each in installed.items():
        assert each.instructions == instructions


def test_a_cpu_without_fused_multiply_adds_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "ppc64le")
    with pytest.raises(NativeUnavailableError, match=r"this CPU \(ppc64le, .*\) is not known"):
        library.load_library()


def test_without_a_compiled_library_the_missing_compiler_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(library, "FOLDER", tmp_path)
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(NativeUnavailableError, match=r"library for neon is not installed.*g\+\+"):
        library.load_library()


def test_a_library_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    native_engine.libraries()
    monkeypatch.setattr(library, "ENGINE_VERSION", "0")
    with pytest.raises(NativeUnavailableError, match="needed: 0; install this program again"):
        library.load_library()


def test_what_is_not_a_library_is_refused(tmp_path: Path) -> None:
    (tmp_path / "torn.so").write_bytes(b"\x7fELF")
    with pytest.raises(NativeUnavailableError, match=r"cannot open .*torn\.so"):
        library.open_library(tmp_path / "torn.so")


def test_statuses_of_the_engine_are_exceptions() -> None:
    class Functions:
        status = 0

        def __getattr__(self, name: str) -> object:
            return lambda: self.status

    functions = Functions()
    engine = library.Library("avx2", functions)  # type: ignore[arg-type]
    engine.call("vggish_embed")
    functions.status = 1
    with pytest.raises(MemoryError, match="vggish_embed of the native engine has no memory"):
        engine.call("vggish_embed")
    functions.status = 2
    with pytest.raises(RuntimeError, match="failed with status 2"):
        engine.call("vggish_embed")
