"""The errors a user can cause; every message says where, what and the way out."""

from crystaltensor.text import one_line


class CrystalTensorError(Exception):
    """The root of all errors that crystaltensor raises on purpose.

    Its text is one printable line, whatever a file or its name put into it.
    """

    def __str__(self) -> str:
        return one_line(super().__str__())


class StructureError(CrystalTensorError):
    """A crystal that cannot exist, or that this tool cannot treat."""


class FormatError(CrystalTensorError):
    """A file that is not what its name or the caller says."""


class ShapeError(CrystalTensorError):
    """An array whose shape does not fit."""


class SymmetryError(CrystalTensorError):
    """A crystal or a group whose symmetry cannot be determined."""


class ConfigError(CrystalTensorError):
    """A setting that is unknown, missing or out of range."""


class DataError(CrystalTensorError):
    """A data set, or a row of one, that cannot be used."""


class ModelError(CrystalTensorError):
    """A trained model that is missing, damaged or of another kind."""


class ElementError(StructureError):
    """An element that the tool or the model does not know."""


class ResourceError(CrystalTensorError):
    """A calculation that needs more memory, or another device, than there is."""


class PotentialError(CrystalTensorError):
    """An interatomic potential that is missing, fails, or makes a crystal unstable."""


class FaultError(CrystalTensorError):
    """Something that went wrong inside, for one crystal of many: a fault of this tool."""
