"""Three packages are public: each name is there, is documented, and is loaded when it is used."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

PUBLIC = ("engramctl.hashing", "engramctl.storage", "engramctl.checkpoints")


def homes_of(package: str) -> dict[str, str]:
    """The public names of a package, each with the module it is imported from for its type."""
    tree = ast.parse(Path(str(import_module(package).__file__)).read_text())
    return {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.startswith((package, "engramctl.errors"))
        for alias in node.names
    }


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_is_found_where_its_type_is(package: str) -> None:
    module, homes = import_module(package), homes_of(package)
    assert set(homes) == set(module.__all__)
    assert set(module.__all__) <= set(dir(module))
    for name, home in homes.items():
        assert getattr(module, name) is getattr(import_module(home), name)


@pytest.mark.parametrize("package", PUBLIC)
def test_a_name_that_is_not_there_is_told_as_python_does(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = import_module(package).nothing
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec(f"from {package} import nothing")


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_function_class_and_method_says_what_it_is(package: str) -> None:
    """As written: a dataclass without words gets some from Python."""
    for name, home in homes_of(package).items():
        tree = ast.parse(Path(str(import_module(home).__file__)).read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name:
                body = node.body if isinstance(node, ast.ClassDef) else []
                inner = [one for one in body if isinstance(one, ast.FunctionDef)]
                for one in [node, *(one for one in inner if not one.name.startswith("_"))]:
                    assert ast.get_docstring(one), f"{name}: {one.name}"
