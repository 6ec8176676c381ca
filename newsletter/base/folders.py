"""Folders that we write to."""

from __future__ import annotations

import os
from pathlib import Path

from newsletter.base.errors import ConfigError


def require_writable(folder: Path) -> None:
    """Make sure that a folder can be written, or be made where it is missing.

    :raises ConfigError: if not
    """
    nearest = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    if not nearest.is_dir():
        raise ConfigError(f"{nearest} is no folder")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise ConfigError(f"{nearest} cannot be written by this user")
