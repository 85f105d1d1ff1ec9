# %% [markdown]
# # 3 · Tuning alpha
# **Whom should the student trust?**
#
# A student hears two voices, the labels and the teacher. The weight alpha says how loud each of them is:
#
# $$L = \alpha \cdot \mathrm{CE}(\text{student}, \text{labels}) + (1 - \alpha) \cdot T^2 \cdot \mathrm{KL}(\text{teacher}_T \,\|\, \text{student}_T)$$
#
# alpha = 1 is labels only, alpha = 0 is teacher only. So alpha is trust, and whom to trust depends on who
# knows more. In this lesson we spoil the labels, spoil the teacher, and look.
#
# **After this lesson you can**
# - write a training step that hears both labels and teacher;
# - decide from label noise and teacher quality where alpha should lie;
# - compute an interval from paired runs, and read a map of T and alpha with it;
# - show how much is pretended by choosing on the test set;
# - compare schedules of alpha at equal budget;
# - translate alpha between projects, and put a claim about it to the test.
#
# **Time:** 90 minutes, and the machine needs about 1 of them. **You need:** lessons 1 and 2, and a loop
# that trains a network in PyTorch.

# %%
import kdlab

# %% [markdown]
# ## One step, two voices
# ### Exercise 1: a step of distillation
# Write `distill_step`. Ask the teacher, ask the student, form the loss of both terms, let the student take
# one step, and give back the loss. For the teacher's term take
# `kdlab.losses.soft_target_kl(student_logits, teacher_logits, temperature)`, which has T² inside. The
# teacher comes fresh from its own training, and must not learn any more.
#
# <details><summary>Hint 1</summary>Two lines make the teacher a listener: <code>teacher.eval()</code>, and
# <code>with torch.no_grad():</code> around its answer.</details>
# <details><summary>Hint 2</summary>A step is always <code>optimizer.zero_grad()</code>,
# <code>loss.backward()</code>, <code>optimizer.step()</code>.</details>

# %% tags=["exercise"]
import torch
import torch.nn.functional as F

def distill_step(student, teacher, optimizer, inputs, labels, temperature, alpha):
    ...  # your lines here

# %% tags=["solution"]
import torch
import torch.nn.functional as F

def distill_step(student, teacher, optimizer, inputs, labels, temperature, alpha):
    teacher.eval()
    with torch.no_grad():
        teacher_logits = teacher(inputs)
    logits = student(inputs)
    soft = kdlab.losses.soft_target_kl(logits, teacher_logits, temperature)
    loss = alpha * F.cross_entropy(logits, labels) + (1 - alpha) * soft
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()

# %%
distill_step = kdlab.check.distill_step(distill_step)

# %% [markdown]
# Sixteen such steps are an epoch over 2,000 pictures. Here your function trains its first student:

# %%
teacher = kdlab.load_teacher("fashion-cnn")
data = kdlab.load_data("fashion-mnist", train=2_000, seed=0)
student = kdlab.models.build("mlp-32", (1, 28, 28), classes=10)
optimizer = torch.optim.Adam(student.parameters(), lr=0.003)
for rows in torch.randperm(2_000).split(128):
    batch = data.train[rows]
    distill_step(student, teacher, optimizer, batch.inputs, batch.labels, temperature=4, alpha=0.5)

logits = kdlab.signals.ask(student, data.validation.inputs)
kdlab.claim("after one epoch it names over half of new pictures right",
            kdlab.scores.accuracy(logits, data.validation.labels) > 0.5)

# %% [markdown]
# Most of that time went into asking the teacher. `kdlab.distill` asks it once about each picture and keeps
# the answers. It does the work from here on.
#
# ## When labels lie
# We draw 20,000 pictures and replace the labels of 40 in 100 by random ones. The student gets every tenth
# picture, with its noisy label: 2,000 in all. Students in this lesson train for 20 epochs, with a learning
# rate of 0.003, so that 320 steps take them far enough.
#
# **Your guess:** a student learns from these labels alone. Of 100 new pictures, how many will it name right?

# %%
guess = kdlab.explore.guess("right answers of 100, with 40 % of the labels random", low=0, high=100)
guess

# %% [markdown]
# Three teachers compete. The first is the one you know. That is not quite fair: it learned the *clean*
# labels of 50,000 pictures, and these 2,000 are among them. So two more have never seen a clean label. One
# learns from all 20,000 noisy pictures, for 2 epochs. The other one crams: it sees only the student's own
# 2,000 pictures, for 30 epochs, until it knows most of their labels by heart, the wrong ones too.

# %%
import dataclasses

noisy = kdlab.load_data("fashion-mnist", train=20_000, label_noise=0.4, seed=0)
few = dataclasses.replace(noisy, train=noisy.train[torch.arange(0, 20_000, 10)])
teachers = {
    "clean labels": teacher,
    "20,000 noisy": kdlab.train("mlp-256", noisy, epochs=2, seed=1).student,
    "same 2,000 noisy": kdlab.train("mlp-256", few, epochs=30, seed=1).student,
}

# %%
budget = {"temperature": 4, "epochs": 20, "learning_rate": 0.003, "seeds": 5, "watch": 0}
trust = kdlab.sweep("mlp-32", teachers, few, alpha=[0, 0.5, 1], **budget | {"seeds": 3})
kdlab.plots.heat_map(trust, rows="teacher", columns="alpha")

# %% tags=["nbval-ignore-output"]
verdicts = {name: trust.compare({"teacher": name, "alpha": 1}, {"teacher": name, "alpha": 0})
            for name in teachers}
for verdict in verdicts.values():
    print(verdict)

# %%
kdlab.claim("the teacher of clean labels adds over 5 points",
            verdicts["clean labels"].difference > 0.05)
kdlab.claim("the teacher of 20,000 noisy labels adds over 5 points",
            verdicts["20,000 noisy"].difference > 0.05)
kdlab.claim("the teacher that crammed the same 2,000 helps", verdicts["same 2,000 noisy"].better)
guess.reveal(100 * trust.table.query("alpha == 1")["accuracy"].mean(), band=(66, 77),
             what="the student of labels alone named")

# %% [markdown]
# A teacher helps where it knows something that the labels do not: cleaner labels, or more pictures, over
# which the noise averages out. Softness alone did nothing here: the crammer's answers are soft too, and
# repeat the same wrong labels. (Change its 30 epochs to 10, run these cells again, and say what has changed.)

# %%
quiz = kdlab.check.quiz("alpha 1")
quiz

# %% [markdown]
# ### Spoil it yourself
# At each stop of a slider five new students are trained, each beside a twin that hears labels only. (They
# take kdlab's usual learning rate, 0.001, and learn less by heart.) A guess first:
# 1. No random labels: does the teacher still help?
# 2. The `early` checkpoint of the teacher: where should alpha lie now?
# 3. 90 % random labels: how good can a student become?
# 4. The crammer: is there an alpha at which it helps?

# %%
panel = kdlab.explore.trust(teachers={"crammer": teachers["same 2,000 noisy"]})
panel.wait()
panel

# %%
half = panel.result.verdict.difference
panel.alpha.value = 0.95
kdlab.claim("a twentieth of trust in the teacher adds less than a half of it does",
            panel.wait().verdict.difference < half)

# %% [markdown]
# ## A map of T and alpha
# Now with clean labels: five temperatures, five weights, five seeds. These are 105 different students, for
# labels only does not depend on T. Each seed draws its own 2,000 pictures.
#
# **Your guess:** which alpha will be best at T = 4?

# %%
guess = kdlab.explore.guess("the best alpha at T = 4", low=0.0, high=1.0)
guess

# %%
def draw(seed):
    return kdlab.load_data("fashion-mnist", train=2_000, seed=seed)

atlas = kdlab.sweep("mlp-32", teacher, draw, alpha=[0, 0.25, 0.5, 0.75, 1],
                    **budget | {"temperature": [1, 2, 4, 8, 16]})
cells = kdlab.explore.atlas(atlas)
cells

# %% [markdown]
# Click a cell, or move the sliders. Below the map you see the cell's five runs, each joined to its twin of
# labels only. On the right you see which classes the five mix up.

# %%
cells.temperature.value, cells.alpha.value = 16, 0.75
means = atlas.pivot("temperature", "alpha")
kdlab.claim("in no row of the map labels only is best", (means.idxmax(axis=1) < 1).all())
kdlab.claim("at T = 1, alpha = 0 beats alpha = 0.75", means.loc[1, 0] > means.loc[1, 0.75])
kdlab.claim("at T = 16, alpha = 0.75 beats alpha = 0", means.loc[16, 0.75] > means.loc[16, 0])
guess.reveal(means.loc[4].idxmax(), band=(0, 0.75), what="the best alpha in this row lies")

# %% [markdown]
# The rows differ. At T = 1 the map falls from left to right. At T = 16 it first rises: there the teacher's
# term is slow to learn from, and some labels help. So alpha and T cannot be tuned one after the other.
#
# ## Reading an interval
# Neighbouring cells differ by a tenth of a point. Is that more than chance? Each seed gives a pair: same
# start, same pictures, same order. Take the difference of each of the $n$ pairs. The 95 % interval of their
# mean $\bar d$ is
#
# $$\bar d \pm t \cdot \frac{s}{\sqrt n}$$
#
# with $s$ the standard deviation of the differences, and $t$ the 0.975 quantile of Student's t distribution
# with $n - 1$ degrees of freedom.
#
# ### Exercise 2: a paired interval
# Write `paired_interval`. It takes the scores of two settings, both in the same order of seeds, and gives
# the low and the high end of the interval for candidate minus baseline.
#
# <details><summary>Hint 1</summary><code>stats.t.ppf(0.975, n - 1)</code> is the quantile.</details>
# <details><summary>Hint 2</summary>torch's <code>.std()</code> divides by n − 1, as it should here.</details>

# %% tags=["exercise"]
from scipy import stats

def paired_interval(baseline, candidate):
    ...  # your lines here

# %% tags=["solution"]
from scipy import stats

def paired_interval(baseline, candidate):
    differences = candidate - baseline
    n = len(differences)
    half = stats.t.ppf(0.975, n - 1) * differences.std() / n**0.5
    return differences.mean() - half, differences.mean() + half

# %%
paired_interval = kdlab.check.paired_interval(paired_interval)

# %%
settings = {"temperature": 16, "alpha": 0}, {"temperature": 2, "alpha": 0}
scores = [torch.tensor(atlas.rows(setting)["accuracy"].to_numpy()) for setting in settings]
low, high = map(float, paired_interval(*scores))
verdict = atlas.compare(*settings)
kdlab.claim("your interval is kdlab's", abs(low - verdict.low) + abs(high - verdict.high) < 1e-4)
kdlab.claim("teacher only is better at T = 2 than at T = 16", low > 0)

slow = kdlab.sweep("mlp-32", teacher, draw, alpha=[0, 0.5, 1], **budget | {"learning_rate": 0.0003})
verdict = slow.compare({"alpha": 1}, {"alpha": 0})
kdlab.claim("with a tenth of the learning rate, teacher only at T = 4 is worse than labels only",
            verdict.word == "worse")

# %% [markdown]
# The last line is a warning. A map belongs to its budget: with a tenth of the learning rate, the same 320
# steps do not go far enough for the soft targets of T = 4 (lesson 2). Who changes the budget has to draw the
# map anew.
#
# ## A teacher in a hurry
# What if the teacher knows no more than its student? This one saw 10,000 pictures, each of them once. It
# teaches the row T = 4 of the map again.

# %%
hurried = kdlab.load_data("fashion-mnist", train=10_000, seed=1)
hasty = kdlab.train("mlp-256", hurried, epochs=1, seed=1).student
poor = kdlab.sweep("mlp-32", hasty, draw, alpha=[0, 0.5, 0.75], **budget)
tables = {"good teacher": atlas.table.query("temperature == 4"), "hasty teacher": poor.table}
rows = {name: 100 * table.pivot(index="alpha", columns="seed", values="accuracy")
        for name, table in tables.items()}
rows["hasty teacher"].loc[1] = rows["good teacher"].loc[1]  # labels only: no teacher is heard
curve = rows["hasty teacher"].mean(axis=1)
kdlab.claim("the hasty teacher alone is a worse guide than the labels alone", curve[0] < curve[1])
kdlab.claim("three quarters labels, one quarter hasty teacher is better than either alone",
            curve[0.75] > max(curve[0], curve[1]))
kdlab.plots.lines(rows, "alpha, weight of the labels", "validation accuracy, %")

# %% [markdown]
# Even a teacher that knows less than the labels is worth a little trust. The better the teacher, the
# smaller alpha may be.
#
# ## Choosing honestly
# The map was made with validation pictures. Why not with the test pictures at once, and report its best
# cell? Let us play that with the 10,000 validation pictures. Some of them are our "test set". On these we
# choose the best of several students, and the other pictures tell what it is worth.

# %%
import pandas as pd

labels = data.validation.labels
right = torch.stack([run.logits().argmax(1) == labels for run in atlas.runs], dim=1).float()
dice = torch.Generator().manual_seed(0)

def pretended(students, pictures):
    """Points that the best of some students scores higher where it was chosen than elsewhere."""
    tried = torch.randperm(right.shape[1], generator=dice)[:students]
    here, elsewhere = torch.randperm(len(right), generator=dice).split([pictures, len(right) - pictures])
    scores = right[here].mean(0)[tried]
    best = scores.argmax()
    return 100 * (scores[best] - right[elsewhere, tried[best]].mean()).item()

# %%
luck = pd.DataFrame({pictures: {students: sum(pretended(students, pictures) for _ in range(100)) / 100
                                for students in (1, 5, 21, 105)} for pictures in (300, 5_000)})
kdlab.claim("the best of 105 on 300 pictures pretends over 1.5 points", luck[300][105] > 1.5)
kdlab.claim("on 5,000 pictures it pretends less than 1 point", luck[5_000][105] < 1)
kdlab.claim("one student, not chosen, pretends less than 1 point on either", luck.loc[1].abs().max() < 1)

# %% tags=["nbval-ignore-output"]
luck.round(2).rename_axis(index="best of so many students", columns="chosen on so many pictures")

# %% [markdown]
# These are points that no student has. Compare them with the differences on the map. Whoever tries many
# settings on a small test set will find a gain, always. So: choose on validation, report on test, once.

# %%
quiz = kdlab.check.quiz("alpha 2")
quiz

# %% [markdown]
# ## Alpha that moves
# Should trust change during training? Some let the teacher speak first and the labels last (Clark et al.
# 2019, "teacher annealing"). In kdlab, alpha and the temperature may be functions of *progress*, which goes
# from 0 to 1.
#
# ### Exercise 3: a schedule
# Write `cosine_schedule`, a value that goes from `start` to `end` along half a cosine: slow at both ends,
# quick in the middle. All three arguments are plain numbers.
#
# <details><summary>Hint 1</summary><code>math.cos(math.pi * progress)</code> goes from 1 to −1.</details>
# <details><summary>Hint 2</summary>Make a share of it that goes from 1 to 0. It is what start gets; end gets
# the rest.</details>

# %% tags=["exercise"]
import math

def cosine_schedule(progress, start, end):
    ...  # your line here

# %% tags=["solution"]
import math

def cosine_schedule(progress, start, end):
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2

# %%
cosine_schedule = kdlab.check.cosine_schedule(cosine_schedule)

# %% [markdown]
# Back to the 2,000 noisy labels, with the good teacher. All schedules but the first have a mean alpha of
# 0.5. **Your guess:** which order is better, and by how many points?

# %%
guess = kdlab.explore.guess("labels first minus teacher first", low=-10, high=10, unit="points")
guess

# %%
schedules = {
    "constant 0": 0,
    "constant 0.5": 0.5,
    "labels first, cosine": lambda progress: cosine_schedule(progress, 1, 0),
    "teacher first, cosine": lambda progress: cosine_schedule(progress, 0, 1),
    "labels first, linear": kdlab.schedules.linear(1, 0),
    "teacher first, step": kdlab.schedules.step(0, 1),
}
moving = kdlab.sweep("mlp-32", teacher, few, alpha=schedules, **budget | {"watch": 1_000})

# %%
def curves(name):
    runs = [moving.runs[at].history.set_index("epoch") for at in moving.rows({"alpha": name})["run"]]
    return 100 * pd.concat([history["validation_accuracy"] for history in runs], axis=1)

shown = ("constant 0", "labels first, cosine", "teacher first, cosine", "teacher first, step")
kdlab.plots.lines({name: curves(name) for name in shown}, "epoch", "validation accuracy, %")

# %% tags=["nbval-ignore-output"]
order = moving.compare({"alpha": "teacher first, cosine"}, {"alpha": "labels first, cosine"})
print(order)
for name in ("labels first, cosine", "labels first, linear", "teacher first, step"):
    print(moving.compare({"alpha": "constant 0"}, {"alpha": name}))

# %%
ends = moving.table.groupby("alpha")["accuracy"].mean()
kdlab.claim("labels first is better than teacher first", order.better)
kdlab.claim("no schedule is a whole point ahead of the better constant",
            ends.max() - max(ends["constant 0"], ends["constant 0.5"]) < 0.01)
guess.reveal(100 * order.difference, band=(3, 10), what="in points, the difference lies")

# %% [markdown]
# Equal mean, equal budget, and points apart: what counts is who speaks *last*. Noisy labels undo at the end
# what the teacher taught; watch the curves fall. So changing alpha during training can do much harm, and the
# good it did here is less than a point over a constant alpha that fits. The lines above say whether these
# runs can tell it from nothing. A schedule is one more thing to choose, and one more chance to fool yourself.
#
# ## Who means what
# Before you copy an alpha from somewhere, look up what it weighs there.

# %%
print(kdlab.alpha_conventions("RepDistiller", r=0.1, a=0.9, b=0))
kdlab.alpha_conventions()

# %% [markdown]
# ## Two claims on trial
# Popular articles say: **alpha is the most important hyperparameter.** We turn one knob at a time, leave the
# others in the middle, and note by how many points the best and the worst value differ: with clean labels,
# and with 40 % random ones. Alpha goes from 0 to 1 and T from 1 to 16, much of which the runs above have told
# already. The learning rate goes from 0.0003 to 0.003.

# %%
def turned(knob, values):
    """Mean accuracy with noisy labels for each value of one knob; alpha is 0.5 and T is 4."""
    found = kdlab.sweep("mlp-32", teacher, few, **budget | {"alpha": 0.5, "seeds": 3, knob: values})
    return found.table.groupby(knob)["accuracy"].mean()

slowly = slow.table.query("alpha == 0.5")["accuracy"].mean()
knobs = {"clean labels": {"alpha": means.loc[4], "temperature": means[0.5],
                          "learning rate": pd.Series([slowly, means.loc[4, 0.5]])},
         "40 % random": {"alpha": trust.pivot("teacher", "alpha").loc["clean labels"],
                         "temperature": turned("temperature", [1, 4, 16]),
                         "learning rate": turned("learning_rate", [0.0003, 0.003])}}
spreads = 100 * pd.DataFrame(knobs).map(lambda accuracy: accuracy.max() - accuracy.min())
for name in spreads:
    kdlab.claim(f"of the three, alpha matters most ({name})", spreads[name].idxmax() == "alpha")

# %% tags=["nbval-ignore-output"]
spreads.round(1).rename_axis("points between best and worst")

# %% [markdown]
# So the claim is not about alpha, but about your labels, and about how far each knob was turned. (The size
# of the student is a knob too: turn it.)
#
# The second claim: **the larger alpha, the less knowledge is passed, and the better the student.** (These
# articles weigh the labels with alpha, as kdlab does.) As knowledge passed we take the agreement with the
# teacher, in the row T = 4 of the map.

# %%
agreement = atlas.pivot("temperature", "alpha", "agreement").loc[4]
kdlab.claim("labels only agrees less with the teacher than teacher only", agreement[1] < agreement[0])
kdlab.claim("from alpha = 0 to 0.75, agreement falls by a whole point",
            agreement[0] - agreement[0.75] > 0.01)
kdlab.claim("the largest alpha gives the best student", means.loc[4].idxmax() == 1)

# %% [markdown]
# A quarter of teacher passes on nearly as much as all of it; it is the last quarter of alpha that costs. A
# larger alpha helped where the teacher was poor, or T too high for the budget, and even there not up to 1.
#
# ## The final word
# The best cell of the map, chosen on validation, against labels only: on test, once.

# %% tags=["nbval-ignore-output"]
temperature, alpha = map(float, means.stack().idxmax())
atlas.test([{"alpha": 1}, {"temperature": temperature, "alpha": alpha}]).round(3)

# %% [markdown]
# ## What you can do now
# - You have written a training step that hears both labels and teacher.
# - You have decided from label noise and teacher quality where alpha should lie.
# - You have computed an interval from paired runs and read a map of T and alpha with it.
# - You have shown how much is pretended by choosing on the test set.
# - You have compared schedules of alpha at equal budget.
# - You have translated alpha between projects, and put two claims about it to the test.
#
# **Sources.** Hinton, Vinyals & Dean (2015), *Distilling the Knowledge in a Neural Network*,
# arXiv:1503.02531 · Li et al. (2017), *Learning from Noisy Labels with Distillation*, ICCV · Clark et al.
# (2019), *BAM! Born-Again Multi-Task Networks for Natural Language Understanding*, ACL · Cawley & Talbot
# (2010), *On Over-fitting in Model Selection and Subsequent Selection Bias in Performance Evaluation*, JMLR
# · Student (1908), *The Probable Error of a Mean*, Biometrika
#
# Next, on its way: **4 · Features**, should the student think like the teacher, or only answer like it?
