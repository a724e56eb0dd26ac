"""Recipes: published tests as options, by name; what is given beside one beats it.

The whole test is for a GPU. On a CPU sizes that decide nothing of the comparison are cut, and a
result says which: see `cut_from`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from engramctl.errors import unknown
from engramctl.model.presets import preset
from engramctl.model.settings import read_settings
from engramctl.sweep.axes import SEQUENCES
from engramctl.sweep.options import BenchOptions


@dataclass(frozen=True)
class Recipe:
    """A published test.

    Attributes:
        name: of the recipe.
        whole: values of BenchOptions, as published; of an axis all values, as a tuple.
        on_cpu: those that are others without a GPU.
        table: how its table is made, as words of SchemeOptions; `slots` apart.
        slots: of a head: on a GPU's machine, and elsewhere.
        parameters: of the published table.
        published: by preset, tokens a second without and with the memory.
        source: where they were published.
        hardware: that they were measured on.
    """

    name: str
    whole: Mapping[str, Any]
    on_cpu: Mapping[str, Any]
    table: Mapping[str, Any]
    slots: tuple[int, int]
    parameters: float
    published: Mapping[str, tuple[float, float]]
    source: str
    hardware: str


RECIPES = {
    "engram-offload": Recipe(
        name="engram-offload",
        whole={
            "tier": ("host",), "case": (f"step.{SEQUENCES}",), "preset": ("4b", "8b"),
            "residual": ("none",), "batch": (64,), "sequences": 512, "lengths": (100, 1024),
        },
        on_cpu={
            "batch": (8,), "sequences": 40, "lengths": (4, 12), "layers": (2,),
            "settings": ("vocab_size=16384",),
        },
        table={"scheme": "engram-27b", "layers": (1,), "row_dim": 80, "dtype": "bf16"},
        slots=(2_262_400, 50_000),  # those of the paper's 27B model: 5.8 GB; and 128 MB
        parameters=100e9,
        published={"4b": (9031.62, 8858.28), "8b": (6315.52, 6140.02)},
        source="Engram, arXiv 2601.07372, section 6.4",
        hardware="one NVIDIA H800",
    ),
}  # fmt: skip


def recipe_of(name: str) -> Recipe:
    """Return a recipe by its name.

    Raises:
        ConfigError: there is none of this name.
    """
    if name not in RECIPES:
        raise unknown("--recipe", name, tuple(RECIPES))
    return RECIPES[name]


def with_recipe(name: str, given: Mapping[str, Any], *, on_gpu: bool) -> dict[str, Any]:
    """Return the options of a run: those that were given, the recipe's for the others.

    A size of the model that was given beats the recipe's of the same name alone.

    Args:
        name: of the recipe.
        given: values by name, None or empty where nothing was said.
        on_gpu: whether this machine has one: else the recipe is cut.

    Example:
        >>> found = with_recipe("engram-offload", {"batch": [2], "preset": None}, on_gpu=True)
        >>> found["batch"], found["preset"], found["lengths"]
        ([2], ('4b', '8b'), (100, 1024))
    """
    recipe = recipe_of(name)
    wanted = {**recipe.whole, **({} if on_gpu else recipe.on_cpu)}
    said = {key: value for key, value in given.items() if value}
    settings = said.get("settings", ())
    own = [one for one in wanted.get("settings", ()) if not _is_set(one, settings)]
    return {**given, **wanted, **said, "settings": (*own, *settings)}


def table_of(name: str, *, on_gpu: bool) -> dict[str, Any]:
    """Return the words of SchemeOptions that its table is made with."""
    recipe = recipe_of(name)
    return {**recipe.table, "slots": recipe.slots[0 if on_gpu else 1]}


def cut_from(recipe: Recipe, options: BenchOptions, parameters: int) -> list[dict[str, Any]]:
    """Return what a run measures less of than the published test, or otherwise.

    Args:
        recipe: that the run began with.
        options: of the run.
        parameters: of the table that is measured.

    Returns:
        `what`, its `published` value and that of this run, `here`.
    """
    every = recipe.whole["sequences"]
    read = options.batch * options.num_samples("step", SEQUENCES)
    found: dict[str, tuple[Any, Any]] = {
        "sequences": (every, min(every, read)),
        "lengths": (list(recipe.whole["lengths"]), list(options.lengths)),
    }
    for name in options.values("preset"):
        whole = preset(name)
        for depth in options.values("layers"):
            shape = options.at({"preset": name, "layers": depth}).shape()
            found[f"layers of {name}"] = (whole.num_layers, shape.num_layers)
        for key in read_settings(options.settings):
            if key != "num_layers" and hasattr(whole, key):
                found[f"{key} of {name}"] = (getattr(whole, key), getattr(shape, key))
    found["parameters of the table"] = (round(recipe.parameters), parameters)
    return [
        {"what": what, "published": theirs, "here": ours}
        for what, (theirs, ours) in found.items()
        if theirs != ours
    ]


def _is_set(word: str, settings: Iterable[str]) -> bool:
    key = word.partition("=")[0]
    return any(one.partition("=")[0].strip().replace("-", "_") == key for one in settings)
