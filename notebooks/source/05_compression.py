# %% [markdown]
# # 5 · Compression
# **What do you save, and what do you lose?**
#
# A model that no phone can hold helps nobody on a phone. Distillation is one way to a small model.
# There are others: cut weights out, store them in fewer bits, train a small net from scratch, copy
# parts of the teacher. Each has its fans and its table. In this lesson you first learn to measure
# what a model costs, then put all of them into one picture, with what they lose, and find out which
# of them help each other.
#
# **After this lesson you can**
# - count a model's parameters and bytes, and time it without fooling yourself;
# - draw a Pareto picture, and find the models that nothing beats;
# - prune, factorise and quantise a network, and say what each does to its file and its speed;
# - judge by paired runs whether distillation adds to them;
# - meet a budget of bytes and milliseconds;
# - write a student into a file that runs without PyTorch, and check its answers;
# - say what compression does to calibration and to a rare class.
#
# **Time:** 90 minutes, and the machine needs about 1 of them. **You need:** lessons 0, 1 and 3.

# %%
import kdlab
import pandas as pd
import tempfile
from pathlib import Path

# %% [markdown]
# ## What a model costs
# A teacher, and a student of an mlp with 32 hidden neurons, distilled from 2,000 pictures.

# %%
data = kdlab.load_data("fashion-mnist", train=2_000, seed=0)
teacher = kdlab.load_teacher("fashion-cnn")
student = kdlab.distill("mlp-32", teacher, data, temperature=2, seed=0).student

# %% [markdown]
# A model's **parameters** are the numbers that training sets. Its **bytes** are what a file of them
# takes: a float32 number has 4 of them, a float16 number 2. A file also holds *buffers*, numbers
# that are not trained but needed, such as the running means of batch norm.
#
# ### Exercise 1: parameters and bytes
# Write `count_parameters(model)` and `weight_bytes(model)`: how many parameters it has, and how many
# bytes its parameters and buffers take.
#
# <details><summary>Hint 1</summary><code>model.parameters()</code> and <code>model.buffers()</code>
# give tensors; <code>.numel()</code> says how many numbers one holds.</details>
# <details><summary>Hint 2</summary><code>.element_size()</code> says how many bytes each of its
# numbers takes.</details>

# %% tags=["exercise"]
def count_parameters(model):
    ...  # your line here

def weight_bytes(model):
    ...  # your lines here

# %% tags=["solution"]
def count_parameters(model):
    return sum(weight.numel() for weight in model.parameters())

def weight_bytes(model):
    held = [*model.parameters(), *model.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in held)

# %%
count_parameters = kdlab.check.count_parameters(count_parameters)
weight_bytes = kdlab.check.weight_bytes(weight_bytes)

# %% [markdown]
# ## How long it takes
# Size is easy: it is the same on every machine. **Latency**, the time from the question to the
# answer, is not. It depends on the machine, on its threads, on what else runs, and on how many
# pictures you ask about at once. So it is told as the *median* of many calls: one call that had to
# wait for another program should not count for more than one. The first calls are not counted at
# all. They load and set up what the later ones find ready.
#
# ### Exercise 2: latency
# Write `latency(model, inputs, calls)`: the median seconds of one call, as in use: in eval mode,
# without gradients, after a warm-up. Leave the model in the mode in which it came.
#
# <details><summary>Hint 1</summary><code>time.perf_counter()</code> before and after each call;
# <code>statistics.median</code> of the differences.</details>
# <details><summary>Hint 2</summary><code>with torch.inference_mode():</code> around all
# calls, <code>model.eval()</code> before, <code>model.train(training)</code> with the
# <code>model.training</code> of the start afterwards. Ten calls more at first, their times thrown
# away.</details>

# %% tags=["exercise"]
import statistics, time, torch

def latency(model, inputs, calls=20):
    ...  # your lines here

# %% tags=["solution"]
import statistics, time, torch

def latency(model, inputs, calls=20):
    training, seconds = model.training, []
    model.eval()
    with torch.inference_mode():
        for call in range(10 + calls):
            began = time.perf_counter()
            model(inputs)
            seconds.append(time.perf_counter() - began)
    model.train(training)
    return statistics.median(seconds[10:])

# %%
latency = kdlab.check.latency(latency)

# %% [markdown]
# **Your guess.** The teacher needs about 300 times as many multiplications and additions for one
# picture as the student. How many times as long does it take?

# %%
guess = kdlab.explore.guess("times as long, for one picture", low=1, high=300)
guess

# %% tags=["nbval-ignore-output"]
one, many = data.validation.inputs[:1], data.validation.inputs[:64]
ratio = latency(teacher, one) / latency(student, one)
guess.reveal(ratio, band=(2, 60), what="times as long:")
kdlab.claim("in a batch of 64, a picture costs the teacher less than alone",
            latency(teacher, many) / 64 < latency(teacher, one))

# %% [markdown]
# For one picture, much of the time goes into calling each layer, not into arithmetic. So a tenth of
# the arithmetic is not a tenth of the time. With 64 pictures in one call the arithmetic shows.
#
# `kdlab.report` gives all costs in one call, for any module, beside how well it answers. `macs` are
# multiply-adds for one picture, `peak_bytes` what is in memory at once.

# %% tags=["nbval-ignore-output"]
shown = ["accuracy", "nll", "ece", "agreement", "parameters", "bytes", "macs", "latency_ms",
         "latency_ms_64", "peak_bytes"]
small = kdlab.train("cnn-small", data, seed=0, epochs=5).student
nets = {"teacher": teacher, "mlp-32": student, "cnn-small": small}
costs = pd.DataFrame({name: kdlab.report(net, data, teacher) for name, net in nets.items()})
costs.loc[shown].T

# %% [markdown]
# **"Small" is not one thing.** `cnn-small` has fewer parameters than `mlp-32`, and needs over ten times
# its multiply-adds: a convolution uses each of its weights at every place of the picture: few
# bytes, much arithmetic. Say which cost you mean.

# %%
quiz = kdlab.check.quiz("compression 1")
quiz

# %% [markdown]
# ## Everything in one picture
# Now many students, each under the same budget: 2,000 pictures, 20 epochs, five seeds, once from
# labels alone and once from labels and soft targets (alpha = 0.1; T = 2 was chosen beforehand, on
# other seeds). Those that are cut are trained for 10 epochs, cut, and trained for 10 more. All of
# them together take some 15 minutes, so the table ships with the lesson. Nothing keeps you from
# making it yourself:

# %%
retrain = False  # True: train all of them anew
table = kdlab.experiments.run() if retrain else kdlab.experiments.load()
table.groupby("group")["recipe"].unique().to_frame()

# %% [markdown]
# Which of them are worth having? Model A **dominates** model B if A is at least as small *and* at
# least as good, and better in one of the two. Nobody needs B then. What no other model dominates is
# the **Pareto front**.
#
# ### Exercise 3: the front
# Write `pareto_front(costs, scores)`: for each model True or False, whether it is on the front. Low
# costs are good, high scores are good.
#
# <details><summary>Hint 1</summary>Two loops: for each model, ask of every other whether it
# dominates this one.</details>
# <details><summary>Hint 2</summary>Twins, equal in both, do not dominate each other: one of the two
# comparisons has to be strict.</details>

# %% tags=["exercise"]
def pareto_front(costs, scores):
    ...  # your lines here

# %% tags=["solution"]
def pareto_front(costs, scores):
    models = list(zip(costs, scores))
    return [not any(c <= cost and s >= score and (c, s) != (cost, score) for c, s in models)
            for cost, score in models]

# %%
pareto_front = kdlab.check.pareto_front(pareto_front)

# %%
means = table.groupby(["recipe", "signal"])[["bytes", "accuracy"]].mean()
front = means[pareto_front(means["bytes"], means["accuracy"])].reset_index()
kdlab.claim("most models on the front had a teacher", (front["signal"] == "soft targets").mean() > 0.5)
kdlab.plots.pareto(table, cost="bytes", score="accuracy")

# %% [markdown]
# `cost="macs"` draws the same against multiply-adds: try it, for the models change places.
#
# ## Four ways to cut
# Here are the cuts themselves, on a larger student, and without any training afterwards.
#
# - **Pruning** sets the smallest weights to zero.
# - **Structured pruning** takes whole neurons or channels out.
# - **Low rank** writes a matrix as the product of two thin ones.
# - **Quantisation** stores 8 bits a weight instead of 32. We come to it below.

# %%
large = kdlab.distill("mlp-128", teacher, data, temperature=2, seed=0).student
cut = {
    "weights to zero": lambda share: kdlab.compress.prune(large, share),
    "neurons out": lambda share: kdlab.compress.narrow(large, share, data.train.inputs),
    "low rank": lambda share: kdlab.compress.factorise(large, max(1, round(108 * (1 - share)))),
}

# %%
def accuracy(net):
    logits = kdlab.signals.ask(net, data.validation.inputs)
    return 100 * kdlab.scores.accuracy(logits, data.validation.labels)

shares = [0.1, 0.3, 0.5, 0.7, 0.9, 0.97]
falls = {name: pd.Series([accuracy(make(share)) for share in shares], index=shares)
         for name, make in cut.items()}
kdlab.claim("half of the weights cost less than one point, without any training",
            accuracy(large) - falls["weights to zero"][0.5] < 1)
kdlab.claim("half of the neurons cost more than half of the weights do",
            falls["neurons out"][0.5] < falls["weights to zero"][0.5])
kdlab.plots.lines(falls, x="share taken out", y="validation accuracy, %")

# %% [markdown]
# A network can spare single weights more easily than whole neurons. But look at the file:

# %%
ways = {"whole": large, "zeros": cut["weights to zero"](0.9), "neurons": cut["neurons out"](0.9)}
sizes = pd.DataFrame({name: kdlab.report(net, data) for name, net in ways.items()})
kdlab.claim("90 % of zeros make the file no smaller",
            sizes.loc["bytes", "zeros"] == sizes.loc["bytes", "whole"])
kdlab.claim("zipped, it takes less than a quarter",
            sizes.loc["zipped_bytes", "zeros"] < 0.25 * sizes.loc["zipped_bytes", "whole"])
kdlab.claim("without 90 % of the neurons, the file takes less than a sixth",
            sizes.loc["bytes", "neurons"] < sizes.loc["bytes", "whole"] / 6)

# %% [markdown]
# A zero takes 4 bytes like any other number. Only a format that leaves zeros out, or a zip file,
# makes use of them, and the processor multiplies by them as before.

# %%
quiz = kdlab.check.quiz("compression 2")
quiz

# %% [markdown]
# ## Which partners add up?
# After the cut, train on, and much of the loss may come back. Does a teacher help there, as it helps a
# student that was not cut? Here is the gain of soft targets over labels for each recipe, in pairs of
# the same seed. **Your guess** first: where will it be largest?

# %%
def scores(recipe, signal="soft targets", metric="accuracy"):
    rows = table[(table["recipe"] == recipe) & (table["signal"] == signal)]
    return rows.sort_values("seed")[metric].tolist()

def gain(recipe, metric="accuracy"):
    return kdlab.verdicts.compare(scores(recipe, "labels", metric), scores(recipe, metric=metric),
                                  metric, names=("labels", f"{recipe} from soft targets"))

cuts = ["mlp-128, 90 % zeros", "mlp-128, 3 of 4 neurons out", "mlp-128, rank 8"]
for recipe in ["mlp-128", "mlp-128, int8", *cuts]:
    print(gain(recipe))
kdlab.claim("for the three that were cut, no gain is seen",
            not any(gain(recipe).better for recipe in cuts))

# %% [markdown]
# The int8 copy keeps the gain: it is the same student, rounded. Those that were cut do not show it.
# Is that the cut, or the size that is left? Students that were small from the start can tell:

# %%
widths = [4, 8, 16, 32, 64, 128]
gaps = {width: [100 * (soft - hard) for soft, hard in
                zip(scores(f"mlp-{width}"), scores(f"mlp-{width}", "labels"))] for width in widths}
kdlab.claim("with every doubling of the width, the gain grows",
            pd.DataFrame(gaps).mean().is_monotonic_increasing)
kdlab.plots.lines({"gain": pd.DataFrame(gaps).T}, x="hidden neurons",
                  y="soft targets against labels, points", log="x", zero=True)

# %% [markdown]
# A student too small for the labels is too small for the teacher's answers as well, and these ask
# for more. Mirzadeh et al. (2020) call it the **capacity gap**. Does the line move up with more
# epochs? Try it in the training panel of lesson 1.
# %% [markdown]
# ## Three ways to start
# A student may also start from what the teacher knows. `init_from="teacher"` copies each layer that
# has the same name and shapes in both, and says so. `cnn-large` shares its first two convolutions
# with the teacher.

# %%
started = kdlab.distill("cnn-large", teacher, data, init_from="teacher", epochs=1, seed=0)
started.settings["copied"]

# %% [markdown]
# **Your guess:** which start is best after 20 epochs: random weights, the teacher's own, or a
# fifth of the epochs spent on a hint (lesson 4)? And compare with the frozen body of the
# teacher under a new head, which is called *transfer learning*.

# %%
def against(candidate, baseline, metric="accuracy"):
    return kdlab.verdicts.compare(scores(baseline, metric=metric), scores(candidate, metric=metric),
                                  metric, names=(baseline, candidate), where="soft targets")

for start in ("cnn-large, copied start", "cnn-large, hint first", "teacher's body, new head"):
    print(against(start, "cnn-large"))

# %% [markdown]
# The new head on the teacher's body wins by far. It learned from 50,000 pictures, though, and is as
# large as the teacher: transfer learning saves labels and time, not bytes.
#
# ## Meet a budget
# Your product has room for a file of 100 kB, and 1 millisecond. Which recipes survive? Move the
# sliders. Where does a better score become expensive?

# %%
panel = kdlab.explore.budget(table)
panel

# %%
panel.size.value, panel.latency.value = 100, 1
kdlab.claim("the best recipe within 100 kB and 1 ms had a teacher",
            panel.result.best.signal == "soft targets")
panel.picture

# %% [markdown]
# ## Deploy
# **ONNX** is a file format for networks that many programs can run, on phones and servers, without
# PyTorch. `kdlab.export` writes the student alone: no teacher, no projector. It compares the file's
# answers with the student's before it hands the file over. `int8` stores whole numbers of 8 bits.

# %%
folder = Path(tempfile.mkdtemp())
plain = kdlab.export(large, folder / "student.onnx")
int8 = kdlab.export(large, folder / "student-int8.onnx", int8="dynamic")

# %% tags=["nbval-ignore-output"]
forms = {"PyTorch": large, "ONNX": plain, "ONNX, int8": int8}
deployed = pd.DataFrame({name: kdlab.report(form, data, large) for name, form in forms.items()})
deployed.loc[["accuracy", "agreement", "bytes", "latency_ms", "latency_ms_64"]].T

# %%
kdlab.claim("ONNX Runtime names the same class for at least 999 of 1,000 pictures",
            deployed.loc["agreement", "ONNX"] >= 0.999)
kdlab.claim("int8 names another class for fewer than 2 in 100",
            deployed.loc["agreement", "ONNX, int8"] > 0.98)
kdlab.claim("and its file takes less than 30 %",
            deployed.loc["bytes", "ONNX, int8"] < 0.3 * deployed.loc["bytes", "ONNX"])

# %% [markdown]
# (`agreement` is with the student itself here.)
#
# ## All partners together
# How small can `fashion-cnn` get? Here is one recipe, shipped as a table too: 55 % of the teacher's
# own channels are taken out, what is left learns for two epochs from the teacher's answers to all
# 50,000 pictures, and its weights are written as int8. Three seeds.

# %%
tenth = kdlab.experiments.load("tenth")
forms = tenth.groupby("form", sort=False)[["accuracy", "nll", "ece", "bytes"]].mean()
kdlab.claim("a tenth of the teacher's bytes, and within one point of its accuracy",
            forms.loc["and int8", "bytes"] <= forms.loc["teacher", "bytes"] / 10
            and forms.loc["and int8", "accuracy"] > forms.loc["teacher", "accuracy"] - 0.01)
forms.round(4)

# %%
quiz = kdlab.check.quiz("compression 3")
quiz

# %% [markdown]
# ## What is lost first
# Accuracy is a mean over all pictures. A cut may leave the mean nearly as it was, and take everything
# from a few. Here one class is rare: of the coats in training, one in ten is left. Five students
# learn from that, and are then pruned, without further training.
#
# **Your guess:** does the rare class lose more than the mean?

# %%
import dataclasses

def with_few_coats(seed):
    drawn = kdlab.load_data("fashion-mnist", train=2_000, validation=5_000, seed=seed)
    coats = (drawn.train.labels == drawn.classes.index("Coat")).nonzero().squeeze(1)
    keep = torch.ones(len(drawn.train), dtype=torch.bool)
    keep[coats[len(coats) // 10:]] = False
    return dataclasses.replace(drawn, train=drawn.train[keep])

students = kdlab.sweep("mlp-128", teacher, with_few_coats, seeds=5, temperature=2,
                       progress=False)

# %%
def by_class(run, share):
    part = run.data.validation
    logits = kdlab.signals.ask(kdlab.compress.prune(run.student, share), part.inputs)
    right = kdlab.scores.per_class_accuracy(logits, part.labels)
    return pd.Series(right, index=data.classes) * 100

shares = [0, 0.5, 0.7, 0.8, 0.9]
seen = {share: pd.DataFrame([by_class(run, share) for run in students.runs]) for share in shares}
lines = {"all classes": pd.DataFrame({share: seen[share].mean(axis=1) for share in shares}).T,
         "coats": pd.DataFrame({share: seen[share]["Coat"] for share in shares}).T}
kdlab.plots.lines(lines, x="share of weights set to zero", y="accuracy, %")

# %%
losses = seen[0] - seen[0.9]
kdlab.claim("in every student, some class loses more than twice what the mean loses",
            (losses.max(axis=1) > 2 * losses.mean(axis=1)).all())

# %% [markdown]
# The mean falls by a few points. Behind it, one class may lose many times that, and another
# gain some: pruned logits shift, and what one class loses a near one wins. Is it the rare class that
# pays? Look how wide the band of the coats is: these five students do not agree. Look at `losses`,
# too, a row for each. Hooker et al. (2019) found that a few classes and unusual pictures carry most
# of the loss. So **report the worst class beside the mean**, and look at the pictures behind it.

# %% [markdown]
# And calibration? The shipped table holds the calibration error, `ece`, of every student. Does a
# teacher, so rich in doubt, make its students honest about theirs?

# %%
kdlab.claim("every mlp from 8 neurons on has a larger calibration error from soft targets",
            all(gain(f"mlp-{width}", "ece").word == "worse" for width in widths[1:]))
kdlab.claim("cnn-large has a smaller one", gain("cnn-large", "ece").better)
table.pivot_table(index="recipe", columns="signal", values="ece", sort=False).round(3)

# %% [markdown]
# Why? Are these small students too sure, or not sure enough? The calibration error alone cannot say:
# compare their mean confidence with their accuracy. One temperature for the finished student, fitted
# on validation (Guo et al. 2017), is the usual remedy. How much it mends here was not measured.

# %% [markdown]
# ## Other families of teachers
# Teachers need not look like `fashion-cnn`. Two more ship with kdlab: `fashion-vgg`, after VGG,
# whose plan is pairs of 3x3 convolutions under wide linear layers, and `fashion-inception`, after
# Inception V3, which looks at each map in four ways at once. The call is the same, and so it is for
# torchvision's `vgg16` and `inception_v3` with pictures of your own (see docs/own_pictures.md).

# %% tags=["nbval-ignore-output"]
families = {name: kdlab.load_teacher(name)
            for name in ("fashion-cnn", "fashion-vgg", "fashion-inception")}
sweep = kdlab.sweep("mlp-32", families, data, seeds=5, temperature=2, progress=False)
sweep.table.groupby("teacher")[["accuracy", "nll", "agreement"]].agg(["mean", "std"]).round(3)

# %%
quiz = kdlab.check.quiz("compression 4")
quiz

# %% [markdown]
# ## What you can do now
# - You have counted parameters and bytes, and timed models after a warm-up, without gradients.
# - You have drawn a Pareto picture, and found the models that nothing beats.
# - You have pruned, factorised and quantised a network, and seen what each does to file and speed.
# - You have judged by paired runs whether distillation adds to them.
# - You have met a budget of bytes and milliseconds.
# - You have written a student into a file that runs without PyTorch, and checked its answers.
# - You have seen what compression does to calibration and to a rare class.
#
# **Sources.** Mirzadeh et al. (2020), *Improved Knowledge Distillation via Teacher Assistant*,
# arXiv:1902.03393 · Han, Pool, Tran & Dally (2015), *Learning both Weights and Connections for Efficient
# Neural Networks*, arXiv:1506.02626 · Jacob et al. (2018), *Quantization and Training of Neural
# Networks for Efficient Integer-Arithmetic-Only Inference*, arXiv:1712.05877 · Hooker et al. (2019),
# *What Do Compressed Deep Neural Networks Forget?*, arXiv:1911.05248 · Simonyan & Zisserman (2015),
# *Very Deep Convolutional Networks*, arXiv:1409.1556 · Szegedy et al. (2016), *Rethinking the
# Inception Architecture*, arXiv:1512.00567
#
# Next, on its way: **6 · Text**, from a transformer to a model that fits anywhere.
