"""The other families' vectors; every expectation comes from the files."""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from engramctl.hashing import Scheme, make_scheme
from engramctl.hashing.released.configs import longcat_moduli
from engramctl.hashing.walk.heads import HeadRule
from engramctl.hashing.walk.mix import Mix
from engramctl.hashing.walk.window import Boundary
from tests.conftest import golden
from tests.hashing.walks import expect

pytestmark = pytest.mark.golden

OVER_ENCODING = golden("scheme_over_encoding")
LONGCAT = golden("scheme_longcat")
QWEN = golden("scheme_qwen4exp_ple")
BLT = golden("scheme_blt_bytes")


def cases(document: dict[str, Any], *, key: str = "cases") -> Any:
    return pytest.mark.parametrize("case", document[key], ids=lambda case: case["name"])


def orders(params: dict[str, Any]) -> range:
    return range(2, params["n"] + 1)


def expect_slots(scheme: Scheme, sequence: dict[str, Any], key: str = "local_ids") -> None:
    """Slots are row ids less their head's offset."""
    layer = scheme.layers[-1]
    offsets = [head.offset for head in scheme.layer_hash(layer).heads]
    rows = np.array(sequence[key]).reshape(len(sequence["tokens"]), len(offsets)) + offsets
    expect(scheme, sequence["tokens"], layer, rows, sequence.get("context"))


def moduli(scheme: Scheme) -> list[int]:
    return [head.modulus for head in scheme.layer_hash(scheme.layers[-1]).heads]


def over_encoding(params: dict[str, Any], name: str = "over-encoding") -> Scheme:
    return make_scheme(
        name,
        vocab_size=params["V"],
        slots=params["m"],
        orders=orders(params),
        heads_per_order=params["k"],
    )


@cases(OVER_ENCODING)
def test_over_encoding_is_reproduced(case: dict[str, Any]) -> None:
    scheme = over_encoding(case["params"])
    heads = scheme.layer_hash(scheme.layers[0]).heads
    assert moduli(scheme) == case["moduli"] == case["table_rows"]
    assert [head.order for head in heads] == case["orders"]
    assert [math.gcd(head.modulus, head.base or 0) for head in heads] == case["gcd_with_V"]
    assert scheme.num_rows(scheme.layers[0]) == sum(case["table_rows"])
    for sequence in case["sequences"]:
        expect_slots(scheme, sequence)


@cases(OVER_ENCODING)
def test_wrapping_ports_of_over_encoding_are_reproduced(case: dict[str, Any]) -> None:
    scheme = over_encoding(case["params"], "over-encoding-wrap64")
    for sequence in case["sequences"]:
        if "local_ids_int64_wrap" in sequence:
            expect_slots(scheme, sequence, "local_ids_int64_wrap")


def test_the_lookups_of_over_encoding_fusions_are_reproduced() -> None:
    paper, concat = OVER_ENCODING["fuse_paper"], OVER_ENCODING["fuse_concat"]
    expect_slots(over_encoding(paper["params"]), paper)
    params = concat["params"]
    distinct = sorted(set(params["oe_grams"]))
    scheme = make_scheme(
        "over-encoding",
        vocab_size=params["V"],
        slots=params["oe_vocab_sizes"],
        orders=distinct,
        heads_per_order=len(params["oe_grams"]) // len(distinct),
        rule=HeadRule("explicit"),
    )
    heads = scheme.layer_hash(scheme.layers[0]).heads
    assert [head.order for head in heads] == params["oe_grams"]
    assert [head.offset for head in heads] == concat["offsets"]
    expect_slots(scheme, {**concat, "context": concat["history"]})


def singles(ids: Iterable[int]) -> list[tuple[int, int]]:
    return [(one, one + 1) for one in ids]


def longcat(params: dict[str, Any], variant: str) -> Scheme:
    names = {"lite": "longcat", "next": "longcat-next", "sp_scope": "longcat-special-scope"}
    num_heads = params["k"] * (params["n"] - 1)
    return make_scheme(
        names[variant],
        vocab_size=params["V"],
        specials=singles(params["ignored_ids"]) if "ignored_ids" in params else None,
        slots=longcat_moduli(params["ratio"], params["V"], num_heads)[0],
        orders=orders(params),
        heads_per_order=params["k"],
        eos_id=params.get("eos"),
    )


@cases(LONGCAT)
def test_longcat_is_reproduced(case: dict[str, Any]) -> None:
    params = case["params"]
    scheme = longcat(params, case["variant"])
    heads = scheme.layer_hash(scheme.layers[0]).heads
    assert moduli(scheme) == case["moduli"]
    assert moduli(scheme) == longcat_moduli(params["ratio"], params["V"], len(heads))
    assert [head.offset for head in heads] == case["offsets"]
    for sequence in case["sequences"]:
        expect_slots(scheme, sequence)


@cases(LONGCAT)
def test_longcat_ports_without_a_reset_are_reproduced(case: dict[str, Any]) -> None:
    scheme = longcat(case["params"], case["variant"])
    without = replace(scheme, boundary=Boundary(scheme.boundary.fill))
    for sequence in case["sequences"]:
        if "local_ids_if_eos_reset_omitted" in sequence:
            expect_slots(without, sequence, "local_ids_if_eos_reset_omitted")


@pytest.mark.parametrize(("key", "variant"), [("fuse_lite", "lite"), ("fuse_next", "next")])
def test_the_lookups_of_longcat_fusions_are_reproduced(key: str, variant: str) -> None:
    expect_slots(longcat(LONGCAT[key]["params"], variant), LONGCAT[key])


def qwen(params: dict[str, Any], num_layers: int) -> Scheme:
    return make_scheme(
        "qwen-ple",
        vocab_size=params["V"],
        slots=params["base"],
        orders=orders(params),
        heads_per_order=params["hpn"],
        layers=range(10, 10 + num_layers),  # layers feed nothing; their dense index does
        eos_id=params["eos"],
        seed=params["seed"],
        rule=HeadRule(pad_rows_to=params["div"]),
    )


@cases(QWEN)
def test_qwen_ple_is_reproduced(case: dict[str, Any]) -> None:
    scheme = qwen(case["params"], case["params"]["ple_layer_index"] + 1)
    layer = scheme.layers[-1]
    derived = scheme.layer_hash(layer)
    assert list(derived.multipliers) == case["multipliers"]
    assert moduli(scheme) == case["head_sizes"]
    assert [head.offset for head in derived.heads] == case["head_offsets"]
    assert sum(head.modulus for head in derived.heads) == case["total_rows"]
    assert scheme.num_rows(layer) == case["padded_rows"]
    for sequence in case["sequences"]:
        expect(scheme, sequence["tokens"], layer, sequence["rows"], sequence["context"])


def test_the_lookup_of_the_qwen_fusion_is_reproduced() -> None:
    scheme = qwen(QWEN["fuse"]["params"], 1)
    assert scheme.num_rows(scheme.layers[0]) == QWEN["fuse"]["padded_rows"]
    expect(scheme, QWEN["fuse"]["tokens"], scheme.layers[0], QWEN["fuse"]["rows"])


@cases(BLT)
def test_blt_is_reproduced(case: dict[str, Any]) -> None:
    params = case["params"]
    scheme = make_scheme(
        "blt",
        orders=[params["group_size"]],
        slots=params["table_rows"],
        mix=Mix("rollpoly", bases=(params["prime"],)),
    )
    for sequence in case["sequences"]:
        expect_slots(scheme, sequence)


def test_all_group_sizes_of_one_blt_function_are_heads_of_one_scheme() -> None:
    """Columns of several orders and functions are the columns of each alone."""
    primes = sorted({case["params"]["prime"] for case in BLT["cases"]})
    sizes = sorted({case["params"]["group_size"] for case in BLT["cases"]})
    rows = BLT["cases"][0]["params"]["table_rows"]
    scheme = make_scheme(
        "blt",
        orders=sizes,
        slots=rows,
        heads_per_order=len(primes),
        mix=Mix("rollpoly", bases=tuple(primes)),
    )
    heads = scheme.layer_hash(0).heads
    for column, head in enumerate(heads):
        # BLT: offset = (function * |sizes| + size index) * rows
        function, size = primes.index(head.base or 0), sizes.index(head.order)
        assert head.offset == (function * len(sizes) + size) * rows
        for case in BLT["cases"]:
            params = case["params"]
            if (params["prime"], params["group_size"]) == (head.base, head.order):
                for sequence in case["sequences"]:
                    if params["table_rows"] == rows:
                        found = scheme.row_ids(sequence["tokens"], 0)[..., column] - head.offset
                        np.testing.assert_array_equal(found, sequence["local_ids"])
