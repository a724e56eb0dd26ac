"""Three packages are public: each name is there, is documented, and is loaded when it is used."""

import ast
from importlib import import_module
from pathlib import Path

import pytest

PUBLIC = ("engramctl.hashing", "engramctl.storage", "engramctl.checkpoints")


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_is_found_where_its_type_is(package: str) -> None:
    module = import_module(package)
    tree = ast.parse(Path(str(module.__file__)).read_text())
    homes = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and node.module
        and node.module.startswith((package, "engramctl.errors"))
        for alias in node.names
    }
    assert set(homes) == set(module.__all__)
    assert set(module.__all__) <= set(dir(module))
    for name, home in homes.items():
        assert home is not None
        assert getattr(module, name) is getattr(import_module(home), name)


@pytest.mark.parametrize("package", PUBLIC)
def test_a_name_that_is_not_there_is_told_as_python_does(package: str) -> None:
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        _ = import_module(package).nothing
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        exec(f"from {package} import nothing")


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_function_and_class_says_what_it_is(package: str) -> None:
    module = import_module(package)
    for name in module.__all__:
        value = getattr(module, name)
        if callable(value) and not name.isupper():
            assert value.__doc__, name
