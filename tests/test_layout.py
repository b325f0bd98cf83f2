"""The arrows between the parts of the package, as data."""

import ast
from pathlib import Path

import pytest

import keras_i3d

PACKAGE = Path(keras_i3d.__file__).parent

# part -> what it may import of the package; modules at the top that import no part are open to all
OPEN = {
    *(
        "errors",
        "exit_codes",
        "extras",
        "labels",
        "progress",
        "proto",
        "protocol",
        "workers",
        "run_folder",
        "whole_file",
        "streams",
    ),
    *("storage", "file_systems", "lock", "cache_folder", "tvl1_parameters"),
}
ARROWS = {
    "layers": set(),
    "models": {"checkpoints", "inflation", "layers"},  # I3D(weights=...), imported when it is asked for
    "inflation": {"models", "layers"},
    "checkpoints": {"models"},  # the spelling of scopes
    "video": set(),
    "datasets": {"video"},  # the demo's videos are encoded
    "records": {"datasets", "video", "layers"},  # flow on a GPU
    "clips": {"records", "video"},
    # the names of published weights; average precision, on multi-label data
    "training": {"models", "checkpoints", "clips", "records", "evaluation"},
    "finished_model": {"models", "checkpoints", "clips"},
    "evaluation": {"finished_model", "checkpoints", "clips", "records", "datasets", "figures", "quiet"},
    "features": {"finished_model", "clips", "datasets", "models", "records", "video"},
    "serving": {"finished_model", "clips", "records", "models", "layers", "video", "figures"},
    "explanation": {"finished_model", "models", "clips", "serving", "video"},  # serving names the best classes
    "fvd": {"finished_model", "models", "datasets", "video"},
    "figures": set(),
    "quiet": set(),
    "commands": {
        *("quiet", "finished_model", "models", "datasets", "records", "clips", "training", "evaluation", "serving"),
        *("figures", "video", "checkpoints", "inflation", "explanation", "features", "fvd"),
    },
    "cli": {"commands"},
    "__main__": {"cli"},
}
KERAS_ONLY = {"models", "layers", "inflation"}  # these run on every Keras backend
NO_FRAMEWORK = {"video", "datasets", "figures", *OPEN}
MODULES = sorted(
    path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if path.parent.name != "weights"
)


def imported(path: str, *, at_the_top: bool = False) -> set[str]:
    """Return the dotted names that a module imports, anywhere in it or as it is imported itself."""
    names = set()
    tree = ast.parse((PACKAGE / path).read_text("utf-8"))
    for node in tree.body if at_the_top else ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def part_of(path: str) -> str:
    return path.split("/")[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES)
def test_imports_follow_the_arrows(path: str) -> None:
    part = part_of(path)
    if part == "__init__":
        return
    allowed = OPEN | ARROWS.get(part, set()) | {part, "__version__"}
    found = {name.split(".")[1] for name in imported(path) if name.startswith("keras_i3d.")}
    assert found <= allowed, f"{path} imports {sorted(found - allowed)}"


@pytest.mark.parametrize("path", MODULES)
def test_frameworks_stay_in_their_rooms(path: str) -> None:
    frameworks = {name.split(".")[0] for name in imported(path)} & {"tensorflow", "keras"}
    if part_of(path) in NO_FRAMEWORK:
        assert not frameworks, path
    if part_of(path) in KERAS_ONLY:
        assert "tensorflow" not in frameworks, path


@pytest.mark.parametrize(
    "path", [path for path in MODULES if part_of(path) in ("models", "layers", "checkpoints", "inflation")]
)
def test_what_runs_on_every_backend_imports_none_at_the_top(path: str) -> None:
    tops = {name.split(".")[0] for name in imported(path, at_the_top=True)}
    assert not tops & {"tensorflow", "torch", "jax"}, path


def test_there_is_no_grab_bag() -> None:
    assert not {part_of(path) for path in MODULES} & {"utils", "helpers", "common", "misc", "base", "manager"}


def test_the_tests_mirror_the_package() -> None:
    tests = Path(__file__).parent
    missing = [
        path
        for path in MODULES
        if "__" not in path and not (tests / path).with_name(f"test_{Path(path).name}").is_file()
    ]
    assert missing == []
