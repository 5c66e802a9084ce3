"""The folder of the dataset as the launcher sees it: no file of others is lost there."""

import _thread
import contextlib
import os
import posixpath
import re
import sys
from collections.abc import Iterator

from pipeline.errors import JobError, JobGoesOnError, UsageError
from transforms.corpus.clips import printable
from transforms.dataset import file_names
from transforms.storage import files, leases

# The temporary folder of a run with any --name.
_STAGING = re.compile(rf"\.({file_names.STEM})\.incomplete")
_TEMPORARY_FOLDER = re.compile(
    rf"{_STAGING.pattern}|\.{file_names.STEM}\.check-[0-9a-f]{{8}}"  # see `report_folder`
)
# What killed programs may leave behind: that folder, those of reports (see `report_folder`), probes
# of the right to write, and files that were not yet renamed.
_TEMPORARY = re.compile(
    rf"(?:{_TEMPORARY_FOLDER.pattern})(?:/|$)"
    rf"|\.probe-[0-9a-f]{{32}}$|{re.escape(leases.FILE_NAME)}\.[0-9a-f]{{32}}$|(?:[^/]+/)?{file_names.TEMPORARY}$"
)


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
        self._lease: leases.Lease | None = None

    def check(self, to_write: bool = False) -> None:
        """Refuses a folder that holds anything, unless it may be overwritten.

        Args:
          to_write: Refuse a folder that another run writes, too.

        Raises:
          UsageError: The folder is not empty, or cannot be used.
        """
        try:
            files.check_reachable(self.path, to_write=True)
        except OSError as error:
            raise UsageError(f"--output={printable(self.path)}: {error}") from error
        if to_write:
            with self._refusing_a_used_folder():
                leases.check_free(self.path)
        self._check_contents()

    def _check_contents(self) -> None:
        label = f"--output={printable(self.path)}"
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
            if self._lease is None:
                self._is_new = files.is_local(self.path) and not os.path.isdir(self.path)
            listed = files.list_names(self.path)
            names = [
                name for name in listed if not _is_temporary(name) and name != leases.FILE_NAME
            ]
            self._delete(self._remains(names))
            # The staging folder, which marks the remains, is deleted after them.
            for name in {_temporary_of(name) for name in listed if _is_temporary(name)}:
                if not _marks_remains(name, names, self._name):
                    self._delete_temporary(name)
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
    def staged(self, job: str = "") -> Iterator[None]:
        """Prepares the folder for this run alone.

        If the context ends with an error, what it has written is removed.

        Args:
          job: The runner of a job that runs on when the context ends, and keeps the folder.

        Raises:
          UsageError: Another run writes into the folder, or it cannot be used.
          JobGoesOnError: The context has ended with it; what a job needs that may go on stays.
        """
        self._reserve(job)
        try:
            self._check_contents()  # another run may have ended since the check
            self.prepare()
            try:
                yield
            except JobGoesOnError as error:
                if self._lease is not None:
                    self._lease.leave(error.where)
                    self._lease = None
                raise JobGoesOnError(
                    f"{error}. {printable(self.path)} holds no new dataset before the job writes"
                    f" {file_names.FILE_NAME} there, which it does last",
                    error.where,
                ) from error
            except BaseException as error:
                if self._lease is not None and self._lease.is_lost:
                    raise JobError(
                        f"another run has taken over --output={printable(self.path)}: this one was"
                        f" halted, or could not reach it, for {leases.DEAD_SECONDS:.0f} s"
                    ) from error
                self.discard()
                raise
        except BaseException:
            self._release()
            raise
        if self._lease is not None and job:
            self._lease.leave()
        else:
            self._release()

    def _reserve(self, job: str) -> None:
        """Takes the lease of the folder, so that a second run into it is refused."""
        self._is_new = files.is_local(self.path) and not os.path.isdir(self.path)
        with self._refusing_a_used_folder():
            try:
                files.make_folder(self.path)
                self._lease = leases.take(self.path, job)
            except OSError as error:
                if self._is_new and not os.path.isdir(self.path):
                    return  # this is told when it is prepared
                print(
                    f"NOTE: --output cannot be reserved for this run ({error}): no second run into"
                    " it would be refused",
                    file=sys.stderr,
                )
                return
        if self._lease.before is not None and self._lease.before.job:
            print(
                f"NOTE: {self._lease.before} has submitted a job to {self._lease.before.job} that"
                " writes into --output as well, and was not seen to end; if it still runs, cancel"
                " one of the two",
                file=sys.stderr,
            )
        if not job:
            self._lease.keep(when_lost=_thread.interrupt_main)

    @contextlib.contextmanager
    def _refusing_a_used_folder(self) -> Iterator[None]:
        try:
            yield
        except leases.HeldError as error:
            raise UsageError(
                f"--output={printable(self.path)} is in use by {error}; wait for its end, or use"
                " another folder"
            ) from error

    def _release(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()

    def discard(self) -> None:
        """Removes all files of a run without a dataset; a complete dataset stays."""
        try:
            names = self._names()
            if file_names.FILE_NAME not in names:
                self._delete(self._our_own(names))
            files.delete_folder(self.staging)
            self._release()
            if self._is_new and not os.listdir(self.path):
                os.rmdir(self.path)
        except OSError:
            pass  # remains differ from a dataset by the lack of dataset.json

    def _names(self) -> list[str]:
        """Returns the names in the folder but temporary ones and the lease."""
        names = files.list_names(self.path)
        return [name for name in names if not _is_temporary(name) and name != leases.FILE_NAME]

    def _remains(self, names: list[str]) -> list[str]:
        """Returns the names of the remains of an interrupted run."""
        if file_names.FILE_NAME in names or not files.exists(self.staging):
            return []
        return self._our_own(names)

    def _our_own(self, names: list[str]) -> list[str]:
        """Returns the names of files of a run, and of the dataset that it was replacing."""
        replaced = f"{self.staging}/{file_names.REPLACED}"
        old: list[str] = []
        if files.exists(replaced):
            with files.open_to_read(replaced) as file, contextlib.suppress(ValueError):
                old = file_names.own_files(file.read())
        ours = {*self._named_like_ours(names), *old}
        return [name for name in names if name in ours or self._is_empty_split(name)]

    def _is_empty_split(self, name: str) -> bool:
        """Returns whether a name is that of a split's folder without files."""
        path = f"{self.path}/{name}"
        return file_names.is_split_folder(name) and files.is_local(path) and os.path.isdir(path)

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
        """Deletes files; what describes them goes first."""
        first = [name for name in names if posixpath.basename(name) == file_names.FILE_NAME]
        files.delete_files([f"{self.path}/{name}" for name in first])
        empty = [name for name in names if self._is_empty_split(name)]
        for name in empty:
            os.rmdir(f"{self.path}/{name}")
        files.delete_names(self.path, [name for name in names if name not in empty])

    def _delete_temporary(self, name: str) -> None:
        if _TEMPORARY_FOLDER.fullmatch(name):
            files.delete_folder(f"{self.path}/{name}")
        else:
            files.delete_names(self.path, [name])


def _is_temporary(name: str) -> bool:
    """Returns whether a name is that of a temporary file or folder, or in such a folder."""
    return _TEMPORARY.match(name) is not None


def _temporary_of(name: str) -> str:
    """Returns the temporary file or folder that a name belongs to."""
    match = _TEMPORARY.match(name)
    assert match is not None
    return match[0].rstrip("/")


def _marks_remains(temporary: str, names: list[str], own_name: str) -> bool:
    """Returns whether a staging folder marks files of an interrupted run with another `--name`."""
    match = _STAGING.fullmatch(temporary)
    if match is None or match[1] == own_name:
        return False
    return any(
        file_names.is_dataset_file(name, match[1]) and file_names.has_stem(name, match[1])
        for name in names
    )


def _some(names: list[str]) -> str:
    some = ", ".join(map(printable, names[:3])) + (", …" if len(names) > 3 else "")
    return f"{len(names)} {'entry' if len(names) == 1 else 'entries'}: {some}"
