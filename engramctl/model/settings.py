"""A preset's shape with some of its sizes set, or with fewer layers; needs no torch."""

from collections.abc import Iterable, Mapping
from dataclasses import Field, fields, replace
from typing import Any, get_args

from engramctl.errors import ConfigError, unknown
from engramctl.layers.config import DecoderConfig, ResidualConfig
from engramctl.model.presets import preset
from engramctl.numbers import parse_numbers, whole_number

# What has an option or a file of its own, or stands in both parts of a shape.
_APART = ("residual", "memory", "mode", "kernels")
_SHAPE: dict[str, Field[Any]] = {
    one.name: one for one in fields(DecoderConfig) if one.name not in _APART
}
_RESIDUAL: dict[str, Field[Any]] = {
    one.name: one for one in fields(ResidualConfig) if one.name not in (*_APART, *_SHAPE)
}
SETTABLE = (*_SHAPE, *_RESIDUAL)


def read_settings(words: Iterable[str]) -> dict[str, Any]:
    """Read `key=value` words: sizes of a shape, and of its residual form.

    Raises:
        ConfigError: no `=`, an unknown key (near words and all keys are named), a key given twice,
            or a value of another kind.

    Example:
        >>> read_settings(["width=1k", "memory_layers=1,3", "tied=no", "branches=2"])
        {'width': 1000, 'memory_layers': (1, 3), 'tied': False, 'branches': 2}
    """
    found: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise ConfigError(
                f"--set '{word}' has no value", hint="write it as --set width=1024, say"
            )
        key = key.strip().replace("-", "_")
        if key not in SETTABLE:
            raise unknown("--set key", key, SETTABLE)
        if key in found:
            raise ConfigError(f"--set {key} is given twice", hint="give it once")
        found[key] = _value((_SHAPE | _RESIDUAL)[key], value.strip())
    return found


def _value(setting: Field[Any], text: str) -> Any:
    option, kind = f"--set {setting.name}", setting.type
    if kind is int:
        return whole_number(text, option)
    if kind is bool:
        truth = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        if text.lower() not in truth:
            raise unknown(option, text, ("yes", "no"))
        return truth[text.lower()]
    if kind is float:
        try:
            return float(text)
        except ValueError:
            raise ConfigError(f"{option} '{text}' is not a number") from None
    if kind == tuple[int, ...]:
        return () if not text else parse_numbers(text, option)
    if text not in get_args(kind):
        raise unknown(option, text, get_args(kind))
    return text


def shape_of(
    name: str,
    settings: Mapping[str, Any] | None = None,
    layers: int | None = None,
    residual: str | None = None,
) -> DecoderConfig:
    """Return a preset's shape with settings put in, then cut to `layers`; without a memory.

    Args:
        name: of the preset.
        settings: as `read_settings` returns them.
        layers: how many of the decoder's layers are kept, the first ones; None: all.
        residual: mode of the residual form, whose read-out is then the mean; None: the preset's.

    Raises:
        ConfigError: an unknown preset, parts that do not fit, or more layers than there are.
    """
    settings = settings or {}
    shape = preset(name)
    own = ResidualConfig(mode=residual) if residual else shape.residual  # type: ignore[arg-type]
    inner = {key: value for key, value in settings.items() if key in _RESIDUAL}
    outer = {key: value for key, value in settings.items() if key in _SHAPE}
    depth = outer.get("num_layers", shape.num_layers)
    if "memory_layers" not in outer:
        outer["memory_layers"] = moved_layers(shape.memory_layers, max(depth, 1))
    shape = replace(shape, **outer, residual=replace(own, **inner))
    if layers is None:
        return shape
    if not 1 <= layers <= shape.num_layers:
        raise ConfigError(
            f"--layers {layers} is not a part of a model of {shape.num_layers} layers",
            facts={"expected": f"1 to {shape.num_layers}", "found": layers},
            hint="for a deeper model: --set num_layers=N",
        )
    kept = moved_layers(shape.memory_layers, layers)
    return replace(shape, num_layers=layers, memory_layers=kept)


def moved_layers(memory_layers: tuple[int, ...], depth: int) -> tuple[int, ...]:
    """Return where memories go in a model of `depth` layers: those beyond it, into its last ones.

    Example:
        >>> moved_layers((1, 15), 36), moved_layers((1, 15), 4), moved_layers((1, 15), 1)
        ((1, 15), (1, 3), (0,))
    """
    kept = memory_layers[:depth]
    behind = range(len(kept) - 1, -1, -1)
    return tuple(min(layer, depth - 1 - after) for layer, after in zip(kept, behind, strict=True))
