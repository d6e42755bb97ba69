"""What is in a weights file, told from its bytes and never from its name; nothing is opened or run to find out.

A pickle (and so most ``.pt`` files) is a program: opening it runs whatever it says. Tensors alone need only a handful
of harmless names, which ``pickletools`` lists without running anything; everything else must be vouched for.
"""

from __future__ import annotations

import hashlib
import io
import pickletools
import re
import struct
import zipfile
from dataclasses import dataclass
from enum import StrEnum

from inference.registry.card import ModelCard, ModelError

MAX_PICKLE = 64 * 2**20
"""Longest pickle inside an archive that is looked through; tensors lie outside of it, so real ones are far smaller."""
_HARMLESS = re.compile(
    r"collections OrderedDict|torch\._utils _rebuild_(tensor(_v2)?|parameter)"
    r"|torch (Float|Half|BFloat16|Double|Int|Long|Short|Char|Byte|Bool)Storage|torch\.storage (Untyped|Typed)Storage"
    r"|torch (float|bfloat|int|uint)(8|16|32|64)|torch (bool|Size|device)"
)
_NAMES_A_THING = {"GLOBAL", "INST"}
_HIDES_A_THING = {"STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}
_RUNS_TENSORS = ("torch", "ultralytics")
_NEWEST_PROTOCOL = 5


class WeightsFormat(StrEnum):
    """What a weights file is."""

    TENSORS = "tensors"
    SAFETENSORS = "safetensors"
    PICKLE = "pickle"
    TORCHSCRIPT = "TorchScript"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Weights:
    """What was found. ``names``: things of Python a pickle would call up when opened, beyond tensors."""

    format: WeightsFormat
    names: tuple[str, ...] = ()

    @property
    def runs_code(self) -> bool:
        """Whether opening the file runs what it says."""
        return self.format in {WeightsFormat.PICKLE, WeightsFormat.TORCHSCRIPT}


def verify(card: ModelCard, data: bytes) -> bytes:
    """The data itself, if it is the registered file and may be opened.

    Raises:
        ModelError: another hash, a cut-off file, or one that runs code and is not marked ``trusted``.
    """
    digest = hashlib.sha256(data).hexdigest()
    if digest != card.sha256:
        cut = card.size is not None and len(data) < card.size
        size = f" (it has {len(data)} of {card.size} bytes: it was cut off)" if cut else ""
        raise ModelError(
            f"{card.file} is not the registered file of {card.versioned}: its sha256 is {digest[:12]}..., "
            f"expected {card.sha256[:12]}...{size}; restore the file, or register it under a new version"
        )
    found = examine(data, card.versioned)
    if found.runs_code and not card.trusted:
        asks = f" (it asks for {', '.join(found.names[:3])})" if found.names else ""
        raise ModelError(
            f"the weights of {card.versioned} are a {found.format} that runs code when it is opened{asks}: export the "
            "model as ONNX, save its tensors alone, or mark the entry 'trusted: true' when you know who made the file"
        )
    if card.engine in _RUNS_TENSORS and found.format == WeightsFormat.OTHER and not card.trusted:
        raise ModelError(f"the weights of {card.versioned} are no file that engine {card.engine} opens safely")
    return data


def examine(data: bytes, what: str) -> Weights:
    """The format of a weights file.

    Raises:
        ModelError: it is an archive or pickle that was cut off; ``what`` names it.
    """
    if not data:
        raise ModelError(f"the weights of {what} are empty")
    if data[:4] == b"PK\x03\x04" or zipfile.is_zipfile(io.BytesIO(data)):
        return _archive(data, what)
    if _is_safetensors(data):
        return Weights(WeightsFormat.SAFETENSORS)
    if data[0] == 0x80 and len(data) > 1 and data[1] <= _NEWEST_PROTOCOL:  # PROTO n begins every pickle since 2003
        return Weights(WeightsFormat.PICKLE, _foreign_names(data, what))
    if _is_old_pickle(data):
        return Weights(WeightsFormat.PICKLE)
    return Weights(WeightsFormat.OTHER)


def _archive(data: bytes, what: str) -> Weights:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if any("/code/" in f"/{name}" for name in names):
                return Weights(WeightsFormat.TORCHSCRIPT)
            pickles = [member for member in members if member.filename.endswith((".pkl", ".pickle"))]
            if any(member.file_size > MAX_PICKLE for member in pickles):
                return Weights(WeightsFormat.PICKLE)
            foreign = [name for member in pickles for name in _foreign_names(archive.read(member), what)]
    except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as error:
        raise ModelError(
            f"the weights of {what} are a damaged or cut-off archive: {error}; get the file anew"
        ) from error
    if foreign:
        return Weights(WeightsFormat.PICKLE, tuple(dict.fromkeys(foreign)))
    return Weights(WeightsFormat.TENSORS if pickles else WeightsFormat.OTHER)


def _foreign_names(data: bytes, what: str) -> tuple[str, ...]:
    """Names of things a pickle calls up, other than what tensors need."""
    found: list[str] = []
    try:
        for code, argument, _ in pickletools.genops(data):
            if code.name in _HIDES_A_THING:
                found.append("something it computes")
            elif code.name in _NAMES_A_THING and not _HARMLESS.fullmatch(str(argument)):
                found.append(str(argument).replace(" ", "."))
    except (ValueError, EOFError, struct.error, IndexError) as error:
        raise ModelError(
            f"the weights of {what} are a damaged or cut-off pickle: {error}; get the file anew"
        ) from error
    return tuple(dict.fromkeys(found))


def _is_old_pickle(data: bytes) -> bool:
    """Pickles of protocols 0 and 1 have no mark of their own: whether the bytes read as one that calls something up."""
    if data[:1] not in b"(c]}lid":
        return False
    try:
        return any(code.name in {"GLOBAL", "INST", "REDUCE"} for code, _, _ in pickletools.genops(data[:4096]))
    except (ValueError, EOFError, struct.error, IndexError):
        return False


def _is_safetensors(data: bytes) -> bool:
    length = int.from_bytes(data[:8], "little")
    return len(data) > 9 and 2 <= length <= len(data) - 8 and data[8:9] == b"{"
