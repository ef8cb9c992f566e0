"""What went wrong, said to a person: every error of this library is a :class:`PyroVaeError`.

Any module may raise these. The command line prints them without a traceback and exits with code 2.
"""


class PyroVaeError(Exception):
    """The base of all errors that this library raises on purpose."""


class ProgramError(PyroVaeError):
    """A model program cannot be used: its name, file or contents. The message names the file."""


class ModelError(PyroVaeError):
    """A model, a guide, or the pair of them is wrong. The message names the site or plate."""


class EstimatorError(PyroVaeError):
    """An estimator cannot be used on this model and guide. The message names the site."""


class DataError(PyroVaeError):
    """The data cannot be used (NaN, infinite, of the wrong kind). The message names the argument and row.

    ``row`` is that row's number, counted from 0, where it is one row that is wrong.
    """

    def __init__(self, message: str, row: int | None = None):
        super().__init__(message)
        self.row = row


class OptionError(PyroVaeError, ValueError):
    """An option has a value it cannot have. The message names the option and what it can be."""


class OutputError(PyroVaeError):
    """A file or folder cannot be read or written. The message names the path."""


class DivergedError(PyroVaeError):
    """A fit's bound became NaN or infinite. The message names the step and the sites at fault.

    ``fit`` holds the fit up to the last good step, with its parameters restored.
    """

    def __init__(self, message: str, fit: object = None):
        super().__init__(message)
        self.fit = fit


class SamplerError(PyroVaeError):
    """NUTS cannot run on this model, or no baseline that counts could be reached."""
