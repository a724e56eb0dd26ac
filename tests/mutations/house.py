"""The house: imports downwards, light starts, public names."""

from tests.mutations import Mutation

IMPORTS = "tests/test_imports.py"
PUBLIC = "tests/test_public.py"

MUTATIONS = (
    Mutation(
        "a-room-imports-one-above",
        "storage/files/checksum.py",
        "import xxhash\n",
        "import xxhash\n\nfrom engramctl.storage.record.dtypes import DTYPES as DTYPES\n",
        (f"{IMPORTS}::test_imports_point_down_only",),
    ),
    Mutation(
        "a-function-imports-what-stands-above",
        "engramctl/counts/text.py",
        "    check_tokenizer(tokenizer, counts)\n",
        "    import engramctl.tables.build\n    check_tokenizer(tokenizer, counts)\n",
        (f"{IMPORTS}::test_imports_point_down_only",),
    ),
    Mutation(
        "storage-knows-hashing",
        "storage/writing/plan.py",
        '"""What a table will be, before a byte is written: files, sizes, manifest."""\n',
        '"""What a table will be, before a byte is written: files, sizes, manifest."""\n'
        "from engramctl.hashing.walk.window import DEAD as DEAD\n",
        (f"{IMPORTS}::test_hashing_and_storage_do_not_know_each_other_nor_what_stands_on_them",),
    ),
    Mutation(
        "a-rooms-sentence-without-its-map",
        "engramctl/runtime/__init__.py",
        "What computations run on",
        "What all runs on",
        (f"{IMPORTS}::test_contributing_shows_the_house_as_it_is",),
    ),
    Mutation(
        "storage-loads-all-it-has",
        "storage/__init__.py",
        "if TYPE_CHECKING:",
        "if True:",
        (
            f"{IMPORTS}::test_public_packages_load_nothing_heavy_and_only_what_serves_rows_loads_torch",
        ),
    ),
    Mutation(
        "an-unknown-name-is-a-key-error",
        "engramctl/runtime/lazy_names.py",
        "if name not in found:",
        "if False:",
        (PUBLIC,),
    ),
    Mutation(
        "a-public-name-without-its-type",
        "hashing/__init__.py",
        '            "released.configs": ("scheme_from_config",),\n',
        "",
        (PUBLIC,),
    ),
)
