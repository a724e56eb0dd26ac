"""Which memory a table's scheme gets in the model: its fusion, and where it sits.

Needs no torch.
"""

from engramctl.errors import ConfigError, unknown
from engramctl.hashing import Lookup, Scheme
from engramctl.layers.config import DecoderConfig, MemoryConfig
from engramctl.layers.fusions import AT_INPUT, INPUT, KINDS, Place
from engramctl.numbers import parse_numbers


def memory_positions(table_layers: tuple[int, ...], own: tuple[int, ...], depth: int) -> list[int]:
    """Return the decoder layer of each table layer.

    The table's own layer ids when the decoder has them all, else the preset's positions in order,
    else the first layers.

    Raises:
        ConfigError: more table layers than decoder layers.

    Example:
        >>> memory_positions((1, 14), own=(1, 4), depth=8)
        [1, 4]
        >>> memory_positions((1, 3), own=(1, 4), depth=8)
        [1, 3]
    """
    if len(table_layers) > depth:
        raise ConfigError(
            f"a table of {len(table_layers)} layers does not fit a model of {depth}",
            hint="choose a larger --preset, or more --layers",
        )
    if max(table_layers) < depth:
        return sorted(table_layers)
    positions = own if len(own) >= len(table_layers) else tuple(range(depth))
    return list(positions[: len(table_layers)])


def memory_of(
    scheme: Lookup, shape: DecoderConfig, fusion: str | None, layers: str | None
) -> MemoryConfig:
    """Return the memory of a model of this shape.

    Args:
        scheme: of the table.
        shape: of the model; its own memory does not count.
        fusion: by name; None: the scheme's.
        layers: places as `--memory-layers` has them; None: see `memory_positions`.

    Raises:
        ConfigError: an unknown fusion, or one that this table or these layers cannot have.

    Example:
        >>> from engramctl.hashing import make_scheme
        >>> from engramctl.model.presets import preset
        >>> memory_of(make_scheme("engram"), preset("small"), None, None).layers
        ((1, 1), (4, 15))
    """
    name = scheme.fuse if fusion is None else fusion
    if name not in KINDS:
        raise unknown("fusion", name, KINDS, hint="name one with --fusion")
    table_layers = tuple(sorted(scheme.layers))
    kind = KINDS[name]
    if kind.at_input and len(table_layers) > 1:
        raise ConfigError(
            f"fusion '{name}' reads one table at the input, and this one has layers "
            f"{', '.join(map(str, table_layers))}",
            hint="build it with one of them, or choose another --fusion",
        )
    normaliser = scheme.normaliser if isinstance(scheme, Scheme) else None
    return MemoryConfig(
        layers=tuple(zip(_places(table_layers, shape, name, layers), table_layers, strict=True)),
        num_heads=scheme.num_heads,
        row_dim=scheme.row_dim,
        max_order=scheme.max_order,
        fusion=name,
        norm_eps=kind.norm_eps,
        conv_norm_eps=kind.conv_norm_eps,
        normaliser=normaliser or "mean",  # type: ignore[arg-type]  # the scheme checks its own
    )


def _places(
    table_layers: tuple[int, ...], shape: DecoderConfig, fusion: str, layers: str | None
) -> list[Place]:
    at_input = fusion in AT_INPUT
    if layers is None:
        if at_input:
            return [INPUT]
        return [*memory_positions(table_layers, shape.memory_layers, shape.num_layers)]
    if layers == INPUT:
        if not at_input:
            raise ConfigError(
                f"fusion '{fusion}' writes to the branches of a decoder layer, not at the input",
                hint="name layers with --memory-layers, or choose another --fusion",
            )
        return [INPUT]
    if at_input:
        raise ConfigError(
            f"fusion '{fusion}' makes the input embedding, it has no place in a decoder layer",
            facts={"found": f"--memory-layers {layers}"},
            hint="leave --memory-layers out, or choose another --fusion",
        )
    chosen = sorted(parse_numbers(layers, "--memory-layers") or ())
    if len(chosen) != len(table_layers):
        raise ConfigError(
            "--memory-layers must name a decoder layer for each layer of the table",
            facts={
                "expected": f"{len(table_layers)}, for table layers "
                + ", ".join(map(str, table_layers)),
                "found": layers,
            },
        )
    last = shape.num_layers - 1
    if chosen[-1] > last:
        raise ConfigError(
            f"the model has no decoder layer {chosen[-1]}",
            facts={"expected": f"0 to {last}", "found": layers},
            hint="layers are counted from 0; --preset chooses the model",
        )
    return [*chosen]
