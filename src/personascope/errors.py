"""What can go wrong for a user: one tree of errors, each with a hint.

    UserError                 something the user can mend; the command line prints it and exits 2
    |- TraitError             a trait that is unknown, or a trait file that breaks its rules
    |- ModelError             a model that cannot be opened, read or edited
    |- LayerError             a layer that the model or the file does not have
    |- ContrastError          texts that make no contrast: empty, one-sided, unreadable
    |- ItemError              items that cannot be asked: a missing field, a wrong key, a trait without any
    |- ActivationError        activations that make no direction: not finite, all equal
    |- SteeringError          a steering that cannot be placed: strength, direction, mode or position
    |- DataError              a data set that cannot be read: another format, a missing column, a damaged row
    |- ClusterError           a Ray cluster that cannot be reached, or whose workers die
    |- JudgeError             a judge that cannot be reached, or that does not answer as asked
    `- ArtifactError          a file that is damaged, unfinished, or of another model

Knows nothing of models, files or numbers.
"""


class UserError(Exception):
    """What was found and what was expected, in one line; `hint` says what to do about it."""

    def __init__(self, found: str, *, hint: str) -> None:
        super().__init__(found)
        self.hint = hint


class TraitError(UserError):
    """A trait that is unknown, or a trait file that breaks the catalogue's rules."""


class ModelError(UserError):
    """A model that cannot be opened, or whose residual stream cannot be read and edited."""


class LayerError(UserError):
    """A layer that the model or the file does not have."""


class ContrastError(UserError):
    """Texts that make no contrast: empty, one-sided or unreadable."""


class ItemError(UserError):
    """Items of a questionnaire that cannot be asked: a missing or wrong field, a trait without any."""


class ActivationError(UserError):
    """Activations that make no direction: not finite, or the same at both poles."""


class SteeringError(UserError):
    """A steering that cannot be placed: a strength that is no number, an unknown mode, a direction of another width."""


class DataError(UserError):
    """A data set that cannot be read: not JSON lines or Parquet, a column that is not there, a damaged row."""


class ClusterError(UserError):
    """A Ray cluster that cannot be reached, or whose workers die again and again."""


class JudgeError(UserError):
    """A judge that cannot be reached, refuses the key, or answers with something else."""


class ArtifactError(UserError):
    """A file that is damaged, unfinished, or made for another model."""
