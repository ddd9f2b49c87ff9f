"""Errors a person can mend: printed as one line, each class with its documented exit code.

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | a bug in TunedAssist (the traceback is shown) |
| 2 | the command line is wrong: unknown option, missing argument |
| 3 | the input is wrong: a file, a line, a field, a configuration key |
| 4 | an artifact was refused: tampered, half-written, of another kind, too new, in the way |
| 5 | the machine lacks something: a package extra, a model, disk space, a permission |
| 6 | the verdict was negative: a gate failed |
| 130 | stopped by Ctrl-C; what was finished is kept |
"""

import errno
import sys
from collections.abc import Callable


class UserError(Exception):
    """Something the user can mend. The message says what, where and what to do next."""

    exit_code = 3


class InputError(UserError):
    """A file, a line, a field or a configuration key is wrong."""


class ArtifactError(UserError):
    """An artifact was refused."""

    exit_code = 4


class SetupError(UserError):
    """The machine lacks something: an extra, a model, space, a permission."""

    exit_code = 5


class GateError(UserError):
    """A gate's condition does not hold."""

    exit_code = 6


class Stopped(UserError):
    """Ctrl-C, after what was finished has been kept; the message says how to go on."""

    exit_code = 130


_STOPPED = "stopped by Ctrl-C; run the same command again to go on"

_OS_HINTS = {
    errno.ENOSPC: "no space left on the disk: free some or name another --out",
    errno.EROFS: "the file system is read-only: name another --out",
    errno.EACCES: "permission denied: check the owner, or name another --out",
    errno.EPERM: "permission denied: check the owner, or name another --out",
    errno.EDQUOT: "disk quota exceeded: free some space or name another --out",
}


def exit_with_one_line(command: Callable[[], object]) -> None:
    """Run a command line; turn mendable errors into one line on stderr and their exit code.

    Anything else is a bug and keeps its traceback.
    """
    try:
        command()
    except UserError as error:
        _leave(str(error), error.exit_code)
    except KeyboardInterrupt:
        _leave(_STOPPED, 130)
    except SystemExit as left:
        if left.code == 130:  # typer has caught Ctrl-C already
            _leave(_STOPPED, 130)
        raise
    except OSError as error:
        if error.errno not in _OS_HINTS:
            raise
        _leave(f"{error.filename or 'output'}: {_OS_HINTS[error.errno]}", SetupError.exit_code)


def _leave(message: str, code: int) -> None:
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
    sys.exit(code)
