"""What a teacher's soft targets say about the classes: doubt in each, likeness of any two."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from kdlab.errors import Refusal
from kdlab.plots.drawing import array, paper
from kdlab.plots.picture import BLUE, GREY, INK, SKY, Picture, style
from kdlab.verdicts import interval

SMALLEST = 1e-4  # smaller probabilities are drawn in the darkest colour
WRITTEN = 0.01  # smaller probabilities are coloured, not written


def entropy_per_class(
    entropies: torch.Tensor, labels: torch.Tensor, classes: Sequence[str]
) -> Picture:
    """Mean entropy of the answers for each class, most doubtful first, with a 95 % interval.

    entropies: (n,), in nats.  labels: (n,).
    """
    entropies = array("entropies", entropies, (None,))
    labels = array("labels", labels, (len(entropies),))
    if labels.max() >= len(classes):
        raise Refusal(f"label {labels.max()}: {len(classes)} class names were given.")
    groups = {
        name: entropies[labels == number].tolist()
        for number, name in enumerate(classes)
        if (labels == number).any()
    }
    if not groups:
        raise Refusal("no example has a label: expected labels from 0 up.")
    means = {name: sum(values) / len(values) for name, values in groups.items()}
    names = sorted(means, key=means.get, reverse=True)
    picture = paper("mean entropy of each class", (8, 0.8 + 0.34 * len(names)))
    with style():
        axes = picture.figure.subplots()
        for place, name in enumerate(names):
            low, high = interval(groups[name])
            low, high = (low, high) if np.isfinite(low) else (means[name], means[name])
            axes.barh(place, means[name], height=0.7, color=SKY, edgecolor=BLUE)
            axes.plot([max(low, 0), high], [place, place], color=INK, marker="|", linewidth=1.5)
            axes.annotate(
                f"{means[name]:.3f}", (high, place), (7, 0), textcoords="offset points", va="center"
            )
        axes.set_yticks(range(len(names)), names)
        axes.set(
            ylim=(len(names) - 0.4, -0.6), xlabel="mean entropy, nats (whisker: 95 % interval)"
        )
        axes.set_xlim(0, 1.12 * axes.get_xlim()[1])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
    return picture.draw(
        f"Mean entropy of the answers for {len(names)} classes: most for {names[0]}, "
        f"{means[names[0]]:.3f} nats, least for {names[-1]}, {means[names[-1]]:.3f} nats."
    )


def class_map(matrix: torch.Tensor, classes: Sequence[str]) -> Picture:
    """Mean soft targets as a map (row = label, column = answer), and the tree of classes they make.

    matrix: (classes, classes), probabilities. The tree joins first the classes that give each
    other the most: distance −log s, where s is the mean of the two probabilities that two classes
    give each other; average linkage.
    """
    count = len(classes)
    if count < 2:
        raise Refusal(f"{count} classes: expected at least two.")
    matrix = array("matrix", matrix, (count, count)).astype(float)
    if matrix.min() < 0 or matrix.max() > 1.001:
        raise Refusal(
            f"matrix holds values from {matrix.min():g} to {matrix.max():g}: expected means of "
            "probabilities, from 0 to 1."
        )
    likeness = (matrix + matrix.T) / 2
    side = max(4.4, 0.46 * count)
    picture = paper("map of the classes", (side + 6.2, side + 0.6))
    with style():
        left, right = picture.figure.subplots(1, 2, width_ratios=[1.5, 1])
        _draw_map(left, matrix, classes)
        _draw_tree(right, likeness, classes)
    one, other = np.triu_indices(count, 1)
    nearest = likeness[one, other].argmax()
    share = likeness[one, other][nearest]
    one, other = classes[one[nearest]], classes[other[nearest]]
    clear = int(matrix.diagonal().argmax())
    return picture.draw(
        f"Mean soft targets of {count} classes as a map and as a tree. {one} and {other} are the "
        f"most alike: on average they give each other {share:.3f}. {classes[clear]} is the "
        f"clearest: {matrix[clear, clear]:.3f} for itself."
    )


def _draw_map(axes: Axes, matrix: np.ndarray, classes: Sequence[str]) -> None:
    count = len(classes)
    norm = LogNorm(SMALLEST, 1, clip=True)
    drawn = axes.imshow(matrix.clip(SMALLEST), cmap="cividis", norm=norm)
    for row, column in np.argwhere(matrix >= WRITTEN):
        value = matrix[row, column]
        colour = INK if norm(value) > 0.55 else "white"
        axes.text(
            column, row, f"{value:.2f}", ha="center", va="center", color=colour,
            fontsize=min(9, 90 / count),
        )  # fmt: skip
    axes.set_xticks(range(count), classes, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(count), classes)
    axes.set(xlabel="answer", ylabel="label", title=f"mean probability (written from {WRITTEN})")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    bar = axes.figure.colorbar(drawn, ax=axes, extend="min", shrink=0.8, pad=0.02)
    bar.set_ticks([1e-4, 1e-3, 1e-2, 1e-1, 1], labels=["0.0001", "0.001", "0.01", "0.1", "1"])
    bar.minorticks_off()


def _draw_tree(axes: Axes, likeness: np.ndarray, classes: Sequence[str]) -> None:
    from scipy.cluster.hierarchy import dendrogram, linkage  # slow to import: only when drawn
    from scipy.spatial.distance import squareform

    distance = -np.log10(likeness.clip(1e-6, 1))
    np.fill_diagonal(distance, 0)
    tree = dendrogram(linkage(squareform(distance, checks=False), "average"), no_plot=True)
    for places, joins in zip(tree["icoord"], tree["dcoord"], strict=True):
        axes.plot(joins, places, color=BLUE, linewidth=1.8, solid_capstyle="round")
    places = [5 + 10 * at for at in range(len(classes))]  # where scipy puts the leaves
    axes.set_yticks(places, [classes[leaf] for leaf in tree["leaves"]])
    deepest = int(np.ceil(max(map(max, tree["dcoord"]))))
    axes.set_xticks(range(deepest + 1), [f"{10**-step:.{step}f}" for step in range(deepest + 1)])
    axes.set(xlim=(0, deepest + 0.1), ylim=(0, 10 * len(classes)))
    axes.set(title="classes that are mixed most join first")
    axes.set_xlabel("s: mean probability they give each other\n(distance −log s, average linkage)")
    axes.tick_params(axis="y", length=0, pad=4)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_color(GREY)
