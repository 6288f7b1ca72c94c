"""One tree of exceptions whose messages are meant for the person at the screen.

Each message is a single sentence: what came, what was expected, what to do.
The command line prints it and exits with 2; the app shows it in a red box.
"""


class ExplorerError(Exception):
    """Base of everything a user can cause and mend."""


class DataError(ExplorerError):
    """A data set or an image cannot be used as it is."""


class CheckpointError(ExplorerError):
    """A checkpoint is missing, damaged, foreign or from another version."""


class ConfigError(ExplorerError):
    """An option has a value that makes no sense here."""


class TrainingError(ExplorerError):
    """Training cannot go on (for example because the loss is not finite)."""
