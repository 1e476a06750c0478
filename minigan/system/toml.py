"""Options in a TOML file: as they are read, and as they are written."""

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import DataError
from .terminal import shown


def read(path: str | Path) -> dict[str, Any]:
    """The values of a TOML file by their names; DataError naming the file if it is none, or holds tables or dates."""
    try:
        values = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise DataError(f"{shown(path)}: is no TOML: {error}") from error
    for name, value in values.items():
        several = value if isinstance(value, list) else [value]
        if not all(isinstance(part, bool | int | float | str) for part in several):
            raise DataError(f"{shown(path)}: {name}: expected a number, a text, true, false or a list of such")
    return values


def written(values: Mapping[str, Any]) -> str:
    """Values as TOML, a line each; those that are None are left out, as TOML has no such value."""
    return "".join(f"{name} = {_value(value)}\n" for name, value in values.items() if value is not None)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else f"{'-' if value < 0 else ''}inf"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
