"""Write config files: the commented one that ``init`` makes, and single keys with comments kept."""

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

import tomlkit
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from tomlkit.items import Table

from node_daemon.config import Config, nearest, validate
from node_daemon.files import make_private_folder, write_atomically
from node_daemon.layers import Layer, file_layer, is_option, known_keys, merge, nest
from node_daemon.sections import Settings, fields_of
from p2pfl.errors import ConfigError

CONFIG_VERSION = 1


def template(values: Mapping[str, object]) -> str:
    """A config file that sets ``values`` (dotted keys) and shows every other setting as a comment."""
    document = tomlkit.document()
    document.add(tomlkit.comment("p2pnode: a line without # sets a value; p2pnode config check verifies it"))
    document.add("config_version", tomlkit.item(CONFIG_VERSION))
    for name in Settings.model_fields:
        if fields := fields_of(name):
            document.add(tomlkit.nl())
            document.add(name, _section(name, fields, values))
    return tomlkit.dumps(document)


def _section(name: str, fields: Mapping[str, FieldInfo], values: Mapping[str, object]) -> Table:
    section = tomlkit.table()
    for key, field in fields.items():
        if field.description:
            section.add(tomlkit.comment(field.description))
        value = values.get(f"{name}.{key}")
        if value is not None:
            section.add(key, tomlkit.item(value))
        else:
            section.add(tomlkit.comment(f"{key} = {_default_text(field)}"))
    return section


def _default_text(field: FieldInfo) -> str:
    """The default as TOML; where it depends on the machine, only that it is left open."""
    default = field.get_default()
    if default is PydanticUndefined and field.default_factory in (list, dict):
        default = field.get_default(call_default_factory=True, validated_data={})
    if default is None or default is PydanticUndefined:
        return "..."
    return "{}" if default == {} else str(tomlkit.item(default).as_string())


def set_value(path: Path, key: str, text: str, *, check: Callable[[Settings], None]) -> Config:
    """Change one key of a config file, keeping its comments; nothing is written unless all is valid.

    ``check`` refuses names that do not exist.  Raises ConfigError that says what is not allowed.
    """
    if key not in known_keys() and not is_option(key):
        near = nearest(key)
        fix = f"did you mean {near}?" if near else "p2pnode config show lists all settings"
        raise ConfigError(f"{key} is not a setting", fix=fix, where=str(path))
    existing = file_layer(path) if path.is_file() else Layer(str(path), {})
    value = _value(key, text)
    config = validate([Layer("command line", nest({key: value})), existing])
    check(config.settings)
    document = tomlkit.parse(existing.text)
    *tables, name = key.split(".")
    _table(document, tables)[name] = value
    written = tomlkit.dumps(document)
    if tomllib.loads(written) != merge(tomllib.loads(existing.text), nest({key: value})):
        raise ConfigError("the file's form is not understood well enough to change it", where=str(path))
    make_private_folder(path.parent)
    write_atomically(path, [written.encode()])
    return config


def _table(document: tomlkit.TOMLDocument, tables: list[str]) -> Table | tomlkit.TOMLDocument:
    """The table that holds a key, made where it is missing."""
    table: Table | tomlkit.TOMLDocument = document
    for part in tables:
        if part not in table:
            table.add(part, tomlkit.table())
        inner = table[part]
        if not isinstance(inner, Table):
            raise ConfigError(f"{part} is not written as a section", fix="edit the file by hand")
        table = inner
    return table


def _value(key: str, text: str) -> object:
    """The TOML value that the operator meant; texts need no quotation marks on the command line."""
    section, _, name = key.partition(".")
    fields = fields_of(section)
    kind = fields[name].annotation if name in fields else None
    if kind in (str, str | None):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return [part.strip() for part in text.split(",")] if "static" in key else text
