"""Train the lessons' long experiments and write their tables: `python -m tools.experiments`.

Writes data/results/: a table for each, and their card. Run it on a quiet machine:
the latencies in the table are measured meanwhile. Some 20 minutes on 2 cores.
"""

import hashlib
import json
import platform

import torch

from kdlab import experiments, files


def main() -> None:
    table = experiments.run()
    folder = files.folder() / "results"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "compression.csv"
    table.to_csv(path, index=False, float_format="%.6g")
    card = {
        "name": "Results of long experiments",
        "what": f"lesson 05: {len(table)} students on {experiments.EXAMPLES:,} pictures of "
        f"Fashion-MNIST, {experiments.EPOCHS} epochs, {experiments.SEEDS} seeds each; scored on "
        "validation",
        "made_by": "python -m tools.experiments",
        "made_with": f"torch {torch.__version__}, Python {platform.python_version()}, "
        f"{torch.get_num_threads()} threads of a CPU",
        "licence": "MIT, as kdlab",
        "files": {
            path.name: {
                "bytes": path.stat().st_size,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            }
        },
    }
    text = json.dumps(card, indent=1) + "\n"
    (folder / "card.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
