"""The jars of the engines, and processes of Java."""

import fcntl
import subprocess
from pathlib import Path

from tests import optional

_FOLDER = Path(__file__).parent
_BUILT = _FOLDER.parents[2] / "build" / "java_engines"
# What Beam, Flink and Spark reach into, which Java 17 keeps shut.
_OPENED = [
    *(f"java.lang{each}" for each in ("", ".invoke", ".reflect")),
    *(f"java.util{each}" for each in ("", ".concurrent", ".concurrent.atomic")),
    *("java.io", "java.net", "java.nio", "java.text", "java.time", "java.security"),
    *("sun.nio.ch", "sun.util.calendar", "sun.security.action"),
]


def built() -> Path:
    """Returns the folder of what Maven makes of the jars, made once; or skips the test."""
    optional.program("java", "install a JDK, 17 or newer")
    maven = optional.program("mvn", "install Maven")
    _BUILT.mkdir(parents=True, exist_ok=True)
    made = _BUILT / "made"
    with (_BUILT / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        newest = max(pom.stat().st_mtime for pom in _FOLDER.rglob("pom.xml"))
        if not made.exists() or made.stat().st_mtime < newest:
            command = [maven, "--batch-mode", "--quiet", "package"]
            finished = subprocess.run(command, cwd=_FOLDER, capture_output=True, text=True)
            assert finished.returncode == 0, finished.stdout
            made.touch()
    return _BUILT


def class_path(module: str) -> str:
    return (built() / module / "classpath").read_text().strip()


def command(heap: str, *options: str) -> list[str]:
    """Returns how Java is started here: quickly, and with little memory."""
    return [
        optional.program("java", "install a JDK, 17 or newer"),
        *(f"--add-opens=java.base/{each}=ALL-UNNAMED" for each in _OPENED),
        *(f"-Xmx{heap}", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"),
        *("-Dorg.slf4j.simpleLogger.showDateTime=true", *options),
    ]
