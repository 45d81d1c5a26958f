"""An external tool as a real process: it writes, hangs, dies, writes another grid."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from pair_phantom import make_pair

from la_outcomes.errors import InputError, ResourceError, UsageError
from la_outcomes.imaging.geometry import Image, volume_ml
from la_outcomes.imaging.nifti import write_image
from la_outcomes.segmentation.labels.wmh_command import wmh_from_command
from la_outcomes.segmentation.labels.wmh_tool import WmhTool, read_tool, recipes

TOOL = """
import os, signal, subprocess, sys, time
import nibabel as nib, numpy as np
what, flair, out = sys.argv[1:4]
print("what it says about", flair)
image = nib.load(flair)
data = (np.asanyarray(image.dataobj) > 130).astype(np.uint8)
affine = image.affine
if what == "hangs":
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(120)"])
    open(os.path.join(sys.argv[4], "child"), "w").write(str(child.pid))
    time.sleep(120)
if what == "dies":
    sys.exit(7)
if what == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
if what == "silent":
    sys.exit(0)
if what == "labels":
    data = np.where(data > 0, 77, 3).astype(np.uint8)
if what == "other":
    data, affine = data[::2], affine @ np.diag([2.0, 1, 1, 1])
if what == "fine":
    data = np.repeat(data, 2, axis=0)
    affine = affine @ np.diag([0.5, 1, 1, 1])
    affine[:3, 3] -= affine[:3, 0] / 2
if what == "damaged":
    open(out, "wb").write(b"no image")
    sys.exit(0)
nib.save(nib.Nifti1Image(data, affine), out)
"""


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Image, Path]:
    """A FLAIR, its file, and the tool's script."""
    folder = tmp_path_factory.mktemp("tool")
    flair = make_pair(angles_deg=(5, 0, 5)).flair
    script = folder / "tool with space.py"
    script.write_text(TOOL)
    return write_image(folder / "a flair.nii.gz", flair), flair, script


def tool(script: Path, what: str, **more: object) -> WmhTool:
    command = f"{sys.executable} '{script}' {what} {{flair}} {{out}} '{script.parent}'"
    return WmhTool("Toy", "2.1", "MIT", command, **more)  # type: ignore[arg-type]


def test_a_mask_is_written_and_read(scan: tuple[Path, Image, Path], tmp_path: Path) -> None:
    path, flair, script = scan
    found = wmh_from_command(tool(script, "writes"), path, flair, tmp_path / "log.txt")
    assert found.volume_ml == pytest.approx(volume_ml(flair.data > 130, flair.affine))
    assert (found.source, found.version) == ("command", "Toy 2.1")
    assert "what it says" in (tmp_path / "log.txt").read_text()


def test_labels_are_chosen_from_a_label_map(scan: tuple[Path, Image, Path], tmp_path: Path) -> None:
    path, flair, script = scan
    found = wmh_from_command(tool(script, "labels", labels=(77,)), path, flair, tmp_path / "log")
    assert found.volume_ml == pytest.approx(volume_ml(flair.data > 130, flair.affine))
    with pytest.raises(InputError, match="outside 0 to 1"):
        wmh_from_command(tool(script, "labels"), path, flair, tmp_path / "log")


def test_a_tool_that_hangs_is_ended_with_its_children(scan: tuple[Path, Image, Path], tmp_path: Path) -> None:
    path, flair, script = scan
    started = time.monotonic()
    with pytest.raises(ResourceError, match="did not end within"):
        wmh_from_command(tool(script, "hangs", time_limit_minutes=0.2), path, flair, tmp_path / "log")
    assert time.monotonic() - started < 60
    child = int((script.parent / "child").read_text())
    for _ in range(100):
        if _is_gone(child):
            return
        time.sleep(0.1)
    raise AssertionError("the tool's child still runs")


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    return state == "Z"


@pytest.mark.parametrize(
    ("what", "kind", "said"),
    [
        ("dies", InputError, "exit code 7"),
        ("killed", ResourceError, "killed by signal 9"),
        ("silent", InputError, "left no map"),
        ("damaged", InputError, "NIfTI"),
        ("other", InputError, "FLAIR's grid"),
    ],
)
def test_what_goes_wrong_is_told(
    scan: tuple[Path, Image, Path], tmp_path: Path, what: str, kind: type[Exception], said: str
) -> None:
    path, flair, script = scan
    with pytest.raises(kind, match=said):
        wmh_from_command(tool(script, what), path, flair, tmp_path / "log")


def test_a_map_on_a_grid_of_its_own_becomes_shares(scan: tuple[Path, Image, Path], tmp_path: Path) -> None:
    path, flair, script = scan
    found = wmh_from_command(tool(script, "fine", grid="own"), path, flair, tmp_path / "log")
    assert found.soft.shape == flair.shape
    assert found.volume_ml == pytest.approx(volume_ml(flair.data > 130, flair.affine), rel=0.02)
    assert np.abs(found.soft.data - (flair.data > 130)).mean() < 0.01


def test_a_tool_that_is_not_there(scan: tuple[Path, Image, Path], tmp_path: Path) -> None:
    path, flair, _ = scan
    with pytest.raises(InputError, match="cannot be started"):
        wmh_from_command(
            WmhTool("None", "1", "MIT", "no-such-program {flair}"), path, flair, tmp_path / "log"
        )


def test_a_tool_that_needs_a_t1_says_so(scan: tuple[Path, Image, Path], tmp_path: Path) -> None:
    path, flair, _ = scan
    with pytest.raises(InputError, match="needs a T1"):
        wmh_from_command(read_tool("lst-ai"), path, flair, tmp_path / "log")


def test_the_recipes_of_the_package_can_be_read() -> None:
    tools = {name: read_tool(name) for name in recipes()}
    assert set(tools) == {"lst-ai", "mars-wmh", "samseg", "segcsvd", "shiva-wmh", "wmh-synthseg"}
    for described in tools.values():
        assert described.command
        assert described.needs
        assert described.source.startswith("https://")
    assert not tools["wmh-synthseg"].needs_t1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: A", "missing: version, licence"),
        ("name: A\nversion: 1\nlicence: B\nspeed: 3", "unknown: speed"),
        ("name: A\nversion: 1\nlicence: B\ncommand: run {nose}", "unknown placeholder: nose"),
        ("name: A\nversion: 1\nlicence: B\ncommand: run 'x", "not closed"),
        ("name: A\nversion: 1\nlicence: B\ngrid: mine", "grid is 'mine'"),
        ("name: A\nversion: 1\nlicence: B\ntime_limit_minutes: 0", "time limit"),
        ("name: A\nversion: 1\nlicence: B\nlabels: [x]", "whole numbers"),
        ("- just\n- a list", "no table"),
        ("a: [", "no YAML"),
    ],
)
def test_a_description_that_cannot_be_used(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "tool.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_tool(str(path))


def test_a_tool_nobody_knows() -> None:
    with pytest.raises(UsageError, match="no WMH tool"):
        read_tool("guess")
