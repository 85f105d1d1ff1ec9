"""Train the lessons' long experiments and write their tables: `python -m tools.experiments [NAME]`.

Writes data/results/: a table for each, and their card. Run it on a quiet machine:
the latencies in the table are measured meanwhile. Some 15 minutes on 2 cores.
"""

import hashlib
import json
import platform
import sys

import torch

from kdlab import experiments, files


def main(names: list[str]) -> None:
    folder = files.folder() / "results"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        table = experiments.run() if name == "compression" else experiments.tenth()
        table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
    card = {
        "name": "Results of long experiments",
        "what": f"lesson 05: compression.csv, {experiments.EXAMPLES:,} pictures of Fashion-MNIST, "
        f"{experiments.EPOCHS} epochs, {experiments.SEEDS} seeds; tenth.csv, the teacher cut and "
        "distilled on 50,000 pictures; both scored on validation",
        "made_by": "python -m tools.experiments",
        "made_with": f"torch {torch.__version__}, Python {platform.python_version()}, "
        f"{torch.get_num_threads()} threads of a CPU",
        "licence": "MIT, as kdlab",
        "files": {
            path.name: {
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
            for path in sorted(folder.glob("*.csv"))
        },
    }
    text = json.dumps(card, indent=1) + "\n"
    (folder / "card.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:] or list(experiments.NAMES))
