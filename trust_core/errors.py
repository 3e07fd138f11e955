"""Every error a user can meet: one sentence that names the file, the cause and what to do about it.

The command line prints the sentence and exits with `exit_code`; a page shows the same sentence.
Anything else that is raised is a fault of the program itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class TrustError(Exception):
    """Base of all errors whose text is meant for the user."""

    exit_code = 2


class DataError(TrustError):
    """The data set cannot be audited as it is."""


class UnreadableImage(DataError):
    """One image cannot be decoded. The audit keeps it as a row with this reason and goes on.

    Attributes:
        passing: another try may read it: the file is sound, as far as anybody knows.
    """

    def __init__(self, message: str, *, passing: bool = False) -> None:
        super().__init__(message)
        self.passing = passing


class LabelsNeeded(DataError):
    """Folders whose names do not tell which parts are good; the user has to say.

    Attributes:
        folders: number of images in each class folder, by folder name.
    """

    def __init__(self, message: str, folders: dict[str, int]) -> None:
        super().__init__(message)
        self.folders = folders


class ModelError(TrustError):
    """The model file cannot be opened safely, recognised, or explained.

    Attributes:
        choices: names of architectures that would answer what its file does not tell.
    """

    def __init__(self, message: str, choices: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.choices = choices


class SettingsError(TrustError):
    """A setting has a value that means nothing for this model or this data."""


class StoreError(TrustError):
    """An audit folder cannot be read or written."""


class Stopped(TrustError):
    """A long computation was stopped on request; nothing of it is kept."""


class EngineError(TrustError):
    """Batches cannot run where they were asked to."""


class NotMet(TrustError):
    """A certificate or gate that was asked for is not met."""

    exit_code = 3


@contextmanager
def file_errors(failed: str, advice: str = "") -> Iterator[None]:
    """What goes wrong with a file in a block, as one sentence: `failed`, why, and the `advice`.

    Raises:
        StoreError: the block raised an OSError.
    """
    try:
        yield
    except OSError as error:
        then = f"; {advice}" if advice else ""
        raise StoreError(f"{failed}: {error.strerror or error}{then}.") from error


def first_line(error: BaseException) -> str:
    """The first line of what a library raised, for a sentence of ours."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
