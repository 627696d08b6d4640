"""Library of added models: copied from a folder or a hub, with digests that can be verified.

The library contains only the files that a checkpoint needs. Code in a repository is neither
downloaded nor run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from echo_node.errors import CheckpointError
from echo_node.model.checkpoint import FACTS_FILE, ModelFacts, facts_of, library

SUMS_FILE = "SHA256SUMS"
_COPIED = ("*.safetensors", "*.json", "*.jinja", "merges.txt", "vocab.json", "README.md", "LICENSE*")
# An unreachable hub raises an error of the HTTP library: a base class of the hub's own error.
_HUB_ERRORS: tuple[type[Exception], ...] = (*HfHubHTTPError.__bases__, HFValidationError, OSError)
_BLOCK_IN_NAME = re.compile(r"block_?(\d+)$", re.IGNORECASE)

Progress = Callable[[str], None]


def licence_on_hub(model_id: str) -> str:
    """Return the licence that a hub states for a model, or an empty string.

    Raises:
        CheckpointError: the hub has no such model, or is unreachable.
    """
    try:
        card = HfApi().model_info(model_id).card_data
    except _HUB_ERRORS as error:
        raise CheckpointError(
            f"no model '{model_id}' could be found on the hub: {_first_line(error)}"
        ) from error
    stated = (card.get("license_name") or card.get("license")) if card else None
    return str(stated or "")


def fetch(model_id: str) -> tuple[Path, str]:
    """Download a model's files with a progress bar, except for those in the hub's local cache.

    Returns:
        The folder of the files, and the revision.

    Raises:
        CheckpointError: the hub has no such model, or is unreachable.
    """
    try:
        folder = Path(snapshot_download(model_id, allow_patterns=list(_COPIED)))
    except _HUB_ERRORS as error:
        raise CheckpointError(f"{model_id} could not be fetched: {_first_line(error)}") from error
    return folder, folder.name


def add(source: Path, facts: ModelFacts, progress: Progress) -> Path:
    """Copy a checkpoint's files into the library, and add its facts and digests.

    Files in a hub's cache on the same disk are linked instead of copied. The model appears under
    its name only when it is complete.

    Raises:
        CheckpointError: the library already has a model of this name.
    """
    target = library() / facts.name
    if target.exists():
        raise CheckpointError(
            f"a model '{facts.name}' already exists in {target}: choose another name with --name"
        )
    partial = target.with_name(f".{facts.name}.part")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for path in _files(source):
        progress(path.name)
        _link_or_copy(path, partial / path.name)
    (partial / FACTS_FILE).unlink(missing_ok=True)
    facts.save(partial)
    write_sums(partial, progress)
    partial.rename(target)
    return target


def facts_for(source: Path, name: str, block_length: int, licence: str, origin: str) -> ModelFacts:
    """Return the facts of a model that is being added.

    The block length is *block_length*, or else that of the configuration, or else the number at the
    end of the name, as in `ECHO_block8`.

    Raises:
        CheckpointError: none of them states the block length, or the folder is not a checkpoint.
    """
    if not (source / "config.json").is_file() or not any(source.glob("*.safetensors")):
        raise CheckpointError(f"{source} is not a checkpoint: it needs config.json and .safetensors files")
    facts = replace(facts_of(source), name=name)
    config = json.loads((source / "config.json").read_text(encoding="utf-8"))
    in_name = _BLOCK_IN_NAME.search(name) or _BLOCK_IN_NAME.search(origin.partition("@")[0])
    stated = block_length or config.get("block_length") or facts.block_length
    if not stated and not in_name:
        raise CheckpointError(
            f"the block length of '{name}' is unknown: pass --block-length, as the model was trained"
        )
    number = int(stated or (in_name and in_name[1]) or 0)
    return replace(
        facts, block_length=number, licence=licence or facts.licence, origin=origin or facts.origin
    )


def write_sums(folder: Path, progress: Progress) -> None:
    """Write SHA256SUMS of a model's files, in the format of `sha256sum -c`."""
    lines = [f"{_digest(path, progress)}  {path.name}\n" for path in _files(folder)]
    (folder / SUMS_FILE).write_text("".join(lines), encoding="utf-8")


def verify(folder: Path, progress: Progress) -> list[str]:
    """Compare a model's files with SHA256SUMS; return a line for each file that differs.

    Raises:
        CheckpointError: the model has no SHA256SUMS.
    """
    path = folder / SUMS_FILE
    if not path.is_file():
        raise CheckpointError(f"{folder} has no {SUMS_FILE} to verify against")
    recorded: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.partition("  ")
        recorded[name] = digest
    present = {file.name for file in _files(folder)}
    wrong = [f"{name}: missing" for name in sorted(recorded.keys() - present)]
    wrong += [f"{name}: not there when the model was added" for name in sorted(present - recorded.keys())]
    for name in sorted(recorded.keys() & present):
        if _digest(folder / name, progress) != recorded[name]:
            wrong.append(f"{name}: its content has changed")
    return wrong


def _files(folder: Path) -> list[Path]:
    return sorted({path for pattern in _COPIED for path in folder.glob(pattern)})


def _digest(path: Path, progress: Progress) -> str:
    progress(path.name)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link_or_copy(source: Path, target: Path) -> None:
    if source.is_symlink():  # a link into the hub's cache, whose files never change
        try:
            os.link(source.resolve(), target)
        except OSError:
            pass
        else:
            return
    shutil.copy2(source, target)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
