"""The folder of the dataset as the launcher sees it: no file of others is lost there."""

import contextlib
import os
import posixpath
import re
from collections.abc import Iterator

from pipeline.errors import UsageError
from transforms.corpus.clips import printable
from transforms.dataset import file_names
from transforms.storage import files


class OutputFolder:
    """The output of a run.

    Attributes:
      path: The absolute path.
      staging: The folder of temporary files inside it, so that publishing is a rename. While there
        is no dataset.json, its presence marks files with our names as remains of an interrupted
        run.
    """

    def __init__(self, path: str, name: str, overwrite: bool) -> None:
        self.path = path.rstrip("/") or "/"
        self.staging = f"{self.path}/.{name}.incomplete"
        self._name = name
        self._overwrite = overwrite
        self._is_new = False

    def check(self) -> None:
        """Refuses a folder that holds anything, unless it may be overwritten.

        Raises:
          UsageError: The folder is not empty, or cannot be used.
        """
        label = f"--output={printable(self.path)}"
        try:
            files.check_reachable(self.path, to_write=True)
        except OSError as error:
            raise UsageError(f"{label}: {error}") from error
        try:
            local = files.is_local(self.path)
            if local and os.path.lexists(self.path) and not os.path.isdir(self.path):
                raise UsageError(f"{label} is not a folder; use another")
            there = self._names()
            remains = set(self._remains(there))
            there = [name for name in there if name not in remains]
            if file_names.FILE_NAME in there and not self._overwrite:
                raise UsageError(
                    f"{label} holds a dataset already; use another folder, or replace it with"
                    " --overwrite"
                )
            if there and not self._overwrite:
                raise UsageError(
                    f"{label} is not empty ({_some(there)}); use another folder, or pass"
                    " --overwrite, which keeps other files"
                )
            replaceable = self._described(there)
        except OSError as error:
            raise UsageError(f"{label} cannot be listed: {error}") from error
        foreign = [
            name
            for name in there
            if file_names.is_dataset_file(name, self._name) and name not in replaceable
        ]
        if foreign:
            raise UsageError(
                f"{label} holds files that the dataset would replace, and no {file_names.FILE_NAME}"
                f" lists them as a dataset's ({_some(foreign)}); use another folder or --name"
            )

    def prepare(self) -> None:
        """Creates the folders and removes the remains of an interrupted run.

        Raises:
          UsageError: The folder cannot be written.
        """
        try:
            self._is_new = files.is_local(self.path) and not os.path.isdir(self.path)
            listed = files.list_names(self.path)
            self._delete(self._remains([name for name in listed if not self._is_temporary(name)]))
            for folder in {_top(name) for name in listed if self._is_temporary(name)}:
                files.delete_folder(f"{self.path}/{folder}")
            files.make_folder(self.staging)
            probe = files.temporary_name(f"{self.staging}/probe")
            with files.created(probe) as file:
                file.write(b"probe")
            files.delete_files([probe])
        except OSError as error:
            raise UsageError(
                f"--output={printable(self.path)} cannot be written: {error}"
            ) from error

    @contextlib.contextmanager
    def staged(self) -> Iterator[None]:
        """Prepares the folder; if the context ends with an error, removes what it has written."""
        self.prepare()
        try:
            yield
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Removes all files of a run without a dataset; a complete dataset stays."""
        try:
            names = self._names()
            if file_names.FILE_NAME not in names:
                self._delete(self._named_like_ours(names))
            files.delete_folder(self.staging)
            if self._is_new and not os.listdir(self.path):
                os.rmdir(self.path)
        except OSError:
            pass  # remains differ from a dataset by the lack of dataset.json

    def _names(self) -> list[str]:
        """Returns the names in the folder but those of temporary folders."""
        return [name for name in files.list_names(self.path) if not self._is_temporary(name)]

    def _is_temporary(self, name: str) -> bool:
        """Returns whether a name is that of a temporary folder of a run or a check, or in one."""
        reports = rf"\.{re.escape(self._name)}\.check-[0-9a-f]{{8}}"  # see `report_folder`
        top = _top(name)
        return top == os.path.basename(self.staging) or bool(re.fullmatch(reports, top))

    def _remains(self, names: list[str]) -> list[str]:
        """Returns the names of the remains of an interrupted run."""
        if file_names.FILE_NAME in names or not files.exists(self.staging):
            return []
        return self._named_like_ours(names)

    def _named_like_ours(self, names: list[str]) -> list[str]:
        """Returns the names of files of a run, but not those of a dataset in a folder inside."""
        foreign = set()
        for folder in {posixpath.dirname(name) for name in names} - {""}:
            if f"{folder}/{file_names.FILE_NAME}" in names:
                with files.open_to_read(f"{self.path}/{folder}/{file_names.FILE_NAME}") as file:
                    if not file_names.is_split(file.read(), folder):
                        foreign.add(folder)
        return [
            name
            for name in names
            if file_names.is_dataset_file(name, self._name)
            and posixpath.dirname(name) not in foreign
        ]

    def _described(self, names: list[str]) -> list[str]:
        """Returns the names of the files that the dataset.json there lists."""
        if file_names.FILE_NAME not in names:
            return []
        with files.open_to_read(f"{self.path}/{file_names.FILE_NAME}") as file:
            try:
                return file_names.own_files(file.read())
            except ValueError as error:
                raise UsageError(
                    f"--output={printable(self.path)}: {error}; nothing there is overwritten, use"
                    " another folder"
                ) from error

    def _delete(self, names: list[str]) -> None:
        files.delete_names(self.path, names)


def _top(name: str) -> str:
    return name.split("/", 1)[0]


def _some(names: list[str]) -> str:
    some = ", ".join(map(printable, names[:3])) + (", …" if len(names) > 3 else "")
    return f"{len(names)} {'entry' if len(names) == 1 else 'entries'}: {some}"
