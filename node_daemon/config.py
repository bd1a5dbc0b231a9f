"""The effective configuration: flags > environment > files > defaults, merged key by key.

Unknown keys and variables are errors; all errors are reported together, each with its line.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from node_daemon.layers import (
    CONFIG_VARIABLE,
    ENVIRONMENT,
    Layer,
    environment_layer,
    file_layer,
    flatten,
    known_keys,
    merge,
    nest,
    unknown_variables,
    variable_of,
)
from node_daemon.paths import CONFIG_NAME, config_files
from node_daemon.sections import Settings, fields_of
from p2pfl.errors import ConfigError, unknown_name

IMPORT_PATH = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")
NAMES_OF_CODE = ("topology", "protocol", "task", "data")  # sections in which a name with a colon is code
REASONS = {  # where pydantic's words are about parsing, not about the value
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list of texts",
    "model_type": "must be a section",
    "string_type": "must be a text, in quotation marks",
}
DEFAULT_ORIGIN = "default"


class CombinedConfigError(ConfigError):
    """Several errors of one configuration, reported together; stands for the first of them."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        first = errors[0]
        super().__init__(first.what, where=first.where, facts=first.facts, fix=first.fix)
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True)
class Config:
    """Validated settings, and where each value that is not a default came from."""

    settings: Settings
    layers: tuple[Layer, ...] = field(default=(), repr=False)

    def where(self, key: str) -> str:
        """Where the effective value of a dotted key stands: a file with its line, a variable, a flag."""
        return _where(self.layers, key) or DEFAULT_ORIGIN

    def is_given(self, key: str) -> bool:
        """Whether any source sets a dotted key."""
        return bool(_where(self.layers, key))

    def given(self, table: str) -> list[str]:
        """The keys that are set in a table, by any source."""
        start = f"{table}."
        names = {key for layer in self.layers for key in flatten(layer.values) if key.startswith(start)}
        return sorted(name.removeprefix(start) for name in names)

    def effective(self) -> dict[str, object]:
        """All values by dotted path, defaults included."""
        return flatten(self.settings.model_dump(mode="json"))


def load_config(
    flags: Mapping[str, object] | None = None,
    *,
    home: Path | None = None,
    file: Path | None = None,
) -> Config:
    """Read every source, the strongest first; ``flags`` maps dotted keys to the values that were given.

    With ``home`` the only file is the one in it.  Raises ConfigError, or CombinedConfigError for several.
    """
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    layers = [Layer("command line", nest(given)), environment_layer()]
    files = config_files(home, file, os.environ)
    layers += [file_layer(path, is_trusted=home is not None or path != Path(CONFIG_NAME)) for path in files]
    return validate(layers)


def validate(layers: Sequence[Layer]) -> Config:
    """Merge layers, the strongest first, and validate the result."""
    reads_environment = any(layer.origin == ENVIRONMENT for layer in layers)
    errors = [_unknown_variable(variable) for variable in unknown_variables()] if reads_environment else []
    errors += [error for layer in layers if not layer.is_trusted for error in _untrusted_code(layer)]
    merged: dict[str, object] = {}
    for layer in layers:
        merged = merge(layer.values, merged)
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        errors += [_explain(detail, layers) for detail in error.errors(include_url=False)]
    except ConfigError as error:  # a limit that makes no sense
        error.where = _where(layers, error.what.partition(" ")[0])
        errors.append(error)
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise CombinedConfigError(errors)
    return Config(settings, tuple(layers))


def _where(layers: Sequence[Layer], key: str) -> str:
    for layer in layers:
        flat = flatten(layer.values)
        if key in flat or any(name.startswith(f"{key}.") for name in flat):
            return layer.where(key)
    return ""


def _unknown_variable(variable: str) -> ConfigError:
    known = [CONFIG_VARIABLE, *(variable_of(key) for key in known_keys())]
    fix = unknown_name("variable", variable, known).fix or "p2pnode config show lists all settings"
    return ConfigError(f"{variable} is not a setting", where=ENVIRONMENT, fix=fix)


def _untrusted_code(layer: Layer) -> list[ConfigError]:
    """A file that merely lay in the working folder does not choose which code runs."""
    errors = []
    for key, value in flatten(layer.values).items():
        is_code = isinstance(value, str) and IMPORT_PATH.fullmatch(value)
        if is_code and key.partition(".")[0] in NAMES_OF_CODE:
            errors.append(
                ConfigError(
                    f"{key} = {value!r} names code, but the file was only found in the working folder",
                    where=layer.where(key),
                    fix=f"name the file if you trust it: --config {layer.origin}",
                )
            )
    return errors


def _explain(detail: ErrorDetails, layers: Sequence[Layer]) -> ConfigError:
    """One finding of pydantic in the words of the operator."""
    key = ".".join(str(part) for part in detail["loc"] if isinstance(part, str) and "[" not in part)
    where = _where(layers, key)
    if detail["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        near = nearest(key)
        kind = "setting" if "." in key else "section"
        fix = f"did you mean {near}?" if near else "p2pnode config show lists all settings"
        return ConfigError(f"{key} is not a {kind}", where=where, fix=fix)
    reason = REASONS.get(detail["type"]) or detail["msg"].removeprefix("Value error, ")
    reason = reason.replace("Input should be", "must be").replace("String should", "must")
    allowed = _allowed(key)
    found = detail["input"]
    what = (
        f"{key} = {found!r}: {reason}" if isinstance(found, str | int | float | list) else f"{key}: {reason}"
    )
    return ConfigError(what, where=where, facts=[f"{key}: {allowed}"] if allowed else [])


def _allowed(key: str) -> str:
    """What a key is for, from its description."""
    section, _, name = key.partition(".")
    fields = fields_of(section)
    return fields[name].description or "" if name in fields else ""


def nearest(key: str) -> str:
    """The setting (or, for a name without a dot, the section) that was probably meant, or ""."""
    candidates = known_keys() if "." in key else list(Settings.model_fields)
    near = unknown_name("setting", key, candidates).fix
    if near:
        return near.removeprefix("did you mean ").removesuffix("?")
    name = key.rpartition(".")[2]
    return next((known for known in candidates if known.rpartition(".")[2] == name), "")
