# %% [markdown]
# # 7 · Across data sets
# **What travels?**
#
# A teacher learned from one collection of pictures. You have another one: noisy, smaller, with fewer
# classes, or about something else. Articles promise that knowledge can be taken out of a model and
# carried over. Sometimes it can. In this lesson you measure what travels, send answers as a file,
# mix pictures, and ask several teachers at once.
#
# **After this lesson you can**
# - say for another data set what of a teacher's knowledge reaches a student, and measure it;
# - send a transfer set as a file, and say when it does not fit;
# - write MixUp with a teacher that sees the mixture, and recognise a stale record;
# - let several teachers speak as one, and compute the Shapley value of each;
# - put claims about generalisation and overfitting to the test.
#
# **Time:** 90 minutes, and the machine needs about 1 of them. **You need:** lessons 1 to 3.

# %%
import dataclasses, tempfile
from pathlib import Path
import kdlab, torch
import pandas as pd

# %% [markdown]
# ## Other views of the same pictures
# `kdlab.views` changes what is seen and keeps what it is. Three views, each a line of six pictures
# below the clean ones. Below a picture stands what the teacher takes it for, with a × where that is
# wrong. (Each picture is drawn with its full range of greys, so the pale ones look like the clean ones.)
#
# **Your guess.** The teacher names 93 of 100 clean pictures right. And of 100 noisy ones?

# %%
guess = kdlab.explore.guess("noisy pictures named right, of 100", low=0, high=100)
guess

# %%
teacher = kdlab.load_teacher("fashion-cnn")
clean = kdlab.load_data("fashion-mnist", train=2_500, validation=5_000, seed=0)
clean = dataclasses.replace(clean, test=clean.test[:500])  # nobody asks it here
views = {"noisy": lambda inputs: kdlab.views.noise(inputs, strength=0.3),
         "blurred": lambda inputs: kdlab.views.blur(inputs, radius=1),
         "pale": lambda inputs: kdlab.views.contrast(inputs, share=0.5)}
seen = {name: kdlab.views.changed(clean, view, name) for name, view in views.items()}

def right(model, split):
    return 100 * kdlab.scores.accuracy(kdlab.signals.ask(model, split.inputs), split.labels)

# %%
guess.reveal(right(teacher, seen["noisy"].validation[:1_000]), band=(40, 65), what="right were")
rows = torch.arange(0, 600, 100)
few = [data.validation[rows] for data in (clean, *seen.values())]
inputs, labels = (torch.cat([getattr(part, name) for part in few]) for name in ("inputs", "labels"))
lines = kdlab.data.Split(inputs, labels, torch.arange(24))
kdlab.plots.images(lines, clean.classes, range(24), kdlab.signals.ask(teacher, inputs))

# %% [markdown]
# ## What travels?
# Now students for each view, from 500 pictures each. The baseline learns from labels alone, its
# twin also from the teacher's answers. There are two ways to ask. The teacher may look at what the
# student looks at. Or, where you still have the clean pictures, it looks at these, and
# `kdlab.across` addresses its answers to the other view.
#
# Four more tasks: the clean pictures, four of the ten classes, a quarter of the pixels, and a hopeless
# one: handwritten digits, also ten classes, marked by the teacher of clothes.
# (The settings were chosen on 640 clean pictures, with seeds 100 to 109: there labels alone come within
# half a point of the best that they reached in any of six settings.)

# %%
recipe = {"epochs": 20, "learning_rate": 0.004, "watch": 0, "progress": False}
budget = recipe | {"temperature": 2}

def part(data):
    """A draw for each of five seeds: every fifth training picture, beginning with another one."""
    return lambda seed: dataclasses.replace(
        data, train=data.train[torch.arange(seed, len(data.train), 5)])

def trial(data, answers):
    """Five students of each teacher's answers against their twins of labels alone: verdicts."""
    alone = kdlab.sweep("mlp-32", None, part(data), alpha=1, **budget).table["accuracy"]
    taught = kdlab.sweep("mlp-32", answers, part(data), alpha=0.1, **budget).table
    return {name: kdlab.verdicts.compare(alone.tolist(), rows["accuracy"].tolist())
            for name, rows in taught.groupby("teacher")}

# %%
few = kdlab.views.only(clean, ["Pullover", "Dress", "Coat", "Shirt"])
small = kdlab.views.changed(clean, lambda inputs: kdlab.views.resize(inputs, 14), "14x14")
digits = kdlab.views.changed(kdlab.load_data("digits"), lambda inputs: kdlab.views.resize(inputs, 28))
tasks = {name: (data, {"the same": kdlab.record(teacher, data.train),
                       "clean": kdlab.across(teacher, clean, data)}) for name, data in seen.items()}
tasks |= {"clean": (clean, {"the same": kdlab.across(teacher, clean, clean)}),
          "4 classes": (few, {"all 10, 4 kept": kdlab.across(teacher, clean, few)}),
          "14x14": (small, {"28x28": kdlab.across(teacher, clean, small)}),
          "digits": (digits, {"the same": kdlab.record(teacher, digits.train)})}

# %% tags=["nbval-ignore-output"]
found = {(task, sees): verdict for task, (data, answers) in tasks.items()
         for sees, verdict in trial(data, answers).items()}
pd.DataFrame({key: [f"{100 * v.low:+.1f} to {100 * v.high:+.1f}", v.word] for key, v in found.items()},
             index=["points, 95 %", "verdict"]).T.rename_axis(["student sees", "teacher sees"])

# %%
kdlab.claim("asked about noisy, blurred or pale pictures, the teacher costs over 10 points each time",
            all(found[name, "the same"].difference < -0.1 for name in views))
kdlab.claim("asked about the clean twins, it never costs over 2 points",
            all(found[name, "clean"].difference > -0.02 for name in views))

# %% [markdown]
# **Noise that a person hardly minds turns half of the teacher's answers wrong**, and a student who
# believes them falls with it. The same teacher, asked about the clean twin, does no such harm, and the
# table says where it helps: what it knows about *this* dress holds, however the dress looks. Whether a
# gain survives fewer classes or fewer pixels, these five seeds may not be able to say: read the
# intervals. But having ten classes on both sides is no common ground. Shoes say nothing about sevens.
#
# So do not ask whether knowledge travels. Ask what you ask the teacher about.
#
# ## Starting from the teacher's weights
# Another article lets the student start from the big model's weights, and stay close to them. An
# optimizer can see to that: after each step it draws every weight back a little to where it started (Li
# et al., 2018). Here the teacher is a wide mlp, trained on clean pictures; the students are of its
# shape, see the noisy ones, and hear labels only.

# %%
plenty = kdlab.load_data("fashion-mnist", train=12_000, validation=5_000, seed=1)
wide = kdlab.train("mlp-256", plenty, epochs=5, batch_size=256, seed=1, progress=False).student
quick = {"student": "mlp-256", "teacher": wide, "data": part(seen["noisy"]), "alpha": 1, "epochs": 5}
starts = kdlab.sweep(**budget | quick, init_from={"random": None, "copy": "teacher"})
near = kdlab.sweep(**budget | quick, init_from="teacher", optimizer=kdlab.starts.StayNear(10)).runs
copied = starts.compare({"init_from": "random"}, {"init_from": "copy"})
free = [starts.runs[at] for at in starts.rows({"init_from": "copy"})["run"]]

def away(run):  # from the teacher's weights, in shares of their length
    own, of_teacher = map(torch.nn.utils.parameters_to_vector, (run.student.parameters(), wide.parameters()))
    return ((own - of_teacher).norm() / of_teacher.norm()).item()

stayed = kdlab.verdicts.compare(*([run.scores["accuracy"] for run in runs] for runs in (free, near)),
                                names=("copied start", "the same, drawn back"))
kdlab.claim("after 5 epochs, the copied start is better", copied.better)

# %% tags=["nbval-ignore-output"]
print(f"{copied}\n{stayed}")
print(f"weights moved by {max(map(away, free)):.0%} at most; drawn back, by {max(map(away, near)):.0%}")
print(f"the teacher itself names {right(wide, seen['noisy'].validation):.0f} % of noisy pictures right")

# %% [markdown]
# Weights travel too, and labels of the new view correct what does not fit. (We chose a pull of 10 before
# we looked; try 1 and 100.) The last line: noise hardly troubles this teacher, which is worse than
# `fashion-cnn` on clean pictures. What a network can stand depends on the network.
#
# ## Knowledge as a file
# A transfer set is examples and a teacher's answers to them: it can be sent without the teacher, and
# without the labels. Here is a sender, who records answers to 2,500 pictures.

# %%
path = Path(tempfile.mkdtemp()) / "transfer.safetensors"
sender = kdlab.load_data("fashion-mnist", train=2_500, seed=0)
kdlab.record(teacher, sender.train, path=path, progress=False)
print(f"{path.stat().st_size / 1000:.0f} kB; the teacher's weights would be 627 kB")

# %% [markdown]
# The receiver has labels of 500 of these pictures, and no teacher. The file names pictures by number:
# those without a label become `.transfer`, and `transfer=True` trains on all of them.

# %%
record = kdlab.Signal.load(path)
receiver = kdlab.load_data("fashion-mnist", train=500, unlabelled=record, validation=5_000, seed=0)
alone, sent = (kdlab.sweep("mlp-32", record, receiver, alpha=alpha, transfer=alpha < 1, **budget)
               for alpha in (1, 0.1))
arrived = kdlab.verdicts.compare(*(list(run.table["accuracy"]) for run in (alone, sent)),
                                 names=("500 labels", "500 labels and the file"))
kdlab.claim("the file adds over 2 points", arrived.low > 0.02)
receiver

# %% [markdown]
# An answer belongs to one picture, as it was. kdlab keeps a fingerprint of each, and refuses a record
# that does not fit: here to other data, then to other views of the right ones.

# %%
def refused(act):
    """Print the sentence with which kdlab refuses to do this."""
    try:
        act()
    except kdlab.Refusal as sentence:
        print(sentence)

refused(lambda: kdlab.load_data("digits", unlabelled=record))
refused(lambda: record.look_up(kdlab.views.changed(sender, views["noisy"]).train))

# %% [markdown]
# ## A teacher that sees the mixture
# MixUp (Zhang et al. 2018) makes new pictures: 70 % of a coat plus 30 % of a boot, called just that.
# Who could mark such a thing better than a teacher, provided that it *sees* it?
#
# ### Exercise 1: MixUp with a teacher
# Write `mixup_loss`. Each picture is mixed with a partner: `weight` of its own, the rest of picture
# `order[i]`. Student and teacher both look at the mixture. The labels' term is
# weight · CE(labels) + (1 − weight) · CE(partners' labels); the teacher's term is
# `kdlab.losses.soft_target_kl(student_logits, teacher_logits, temperature)`, with T² inside. The teacher
# is in eval mode already.
#
# <details><summary>Hint 1</summary><code>inputs[order]</code> are the partners, and
# <code>labels[order]</code> their labels.</details>
# <details><summary>Hint 2</summary>Mix first, then ask: <code>with torch.no_grad():</code> around
# <code>teacher(mixed)</code>. Alpha weighs the labels' term, 1 − alpha the teacher's.</details>

# %% tags=["exercise"]
import torch.nn.functional as F

def mixup_loss(student, teacher, inputs, labels, weight, order, temperature, alpha):
    ...  # your lines here

# %% tags=["solution"]
import torch.nn.functional as F

def mixup_loss(student, teacher, inputs, labels, weight, order, temperature, alpha):
    mixed = weight * inputs + (1 - weight) * inputs[order]
    with torch.no_grad():
        teacher_logits = teacher(mixed)
    logits = student(mixed)
    own, partners = F.cross_entropy(logits, labels), F.cross_entropy(logits, labels[order])
    hard = weight * own + (1 - weight) * partners
    soft = kdlab.losses.soft_target_kl(logits, teacher_logits, temperature)
    return alpha * hard + (1 - alpha) * soft

# %%
mixup_loss = kdlab.check.mixup_loss(mixup_loss)

# %%
student = kdlab.models.build("mlp-32", (1, 28, 28), classes=10, seed=0)
optimizer = torch.optim.Adam(student.parameters(), lr=0.006)
for step in range(100):
    batch = clean.train[torch.randperm(len(clean.train))[:128]]
    weight, order = torch.rand(()).item(), torch.randperm(128)
    loss = mixup_loss(student, wide, batch.inputs, batch.labels, weight, order, 2, 0.1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
kdlab.claim("after 100 steps on mixtures, your student names over 70 % right",
            right(student, clean.validation) > 70)

# %% [markdown]
# `augment=kdlab.MixUp()` does this in every step, and asks the living teacher about each mixture. (From
# here on it is the wide mlp: it is quick, and kdlab asks it again and again.) An augmentation without
# labels works the same way: here a little noise. **Your guess:** by how many points will MixUp help?

# %% tags=["nbval-ignore-output"]
def jitter(inputs):
    return inputs + 0.3 * torch.randn_like(inputs)

changes = {"none": None, "MixUp": kdlab.MixUp(), "jitter": jitter}
mixed = kdlab.sweep("mlp-32", wide, part(clean), augment=changes, alpha=0.1,
                    **budget | {"seeds": 3, "epochs": 12})
for name in ("MixUp", "jitter"):
    print(mixed.compare({"augment": "none"}, {"augment": name}))

# %% [markdown]
# Beyer et al. (2022) train for hundreds of epochs with such mixtures, and gain. In 12 epochs of three
# students there may be nothing to gain: read the sentences. What if the teacher is *not* asked again?
# A record answers for the picture as it was. Laid beside a mixture, it is **stale**.

# %%
refused(lambda: kdlab.distill("mlp-32", kdlab.record(wide, clean.train), clean, augment=kdlab.MixUp()))

# %% [markdown]
# kdlab refuses. `kdlab.across` does not: it takes your word that both views mean the same. We lie to
# it, on purpose. Each picture is mixed once; one teacher sees the mixture, the other one the first
# picture alone.

# %%
pictures, draw = clean.train.inputs, torch.Generator().manual_seed(0)
weight = torch.rand(len(pictures), 1, 1, 1, generator=draw)
blend = weight * pictures + (1 - weight) * pictures[torch.randperm(len(pictures), generator=draw)]
mixture = dataclasses.replace(clean, train=dataclasses.replace(clean.train, inputs=blend))
answers = {"sees it": kdlab.record(wide, mixture.train),
           "stale": kdlab.across(wide, clean.train, mixture.train)}
price = kdlab.sweep("mlp-32", answers, part(mixture), alpha=0, **budget)
stale = price.compare({"teacher": "sees it"}, {"teacher": "stale"})
kdlab.claim("the stale record costs over 4 points", stale.difference < -0.04)

# %%
quiz = kdlab.check.quiz("across 1")
quiz

# %% [markdown]
# Move the mixture yourself: how strong is it, and what does the teacher see? Which strength is worst
# for a stale teacher, and why?

# %%
panel = kdlab.explore.mixture(wide, seeds=3, epochs=25)
panel.wait()
panel

# %%
panel.marks.value = "stale"
panel.wait()
kdlab.claim("students of a stale teacher were trained", "stale" in panel.code)

# %% [markdown]
# ## Several teachers
# `kdlab.combine` lets teachers speak as one: the mean of their logits, a weighted mean, or for each
# picture the one that knows it best. Their answers are kept, so this costs no more than one teacher.
# **Your guess:** does a student of four teachers beat the student of the best one?

# %% tags=["nbval-ignore-output"]
four = {"final": teacher, "early": kdlab.load_teacher("fashion-cnn", "early"),
        "vgg": kdlab.load_teacher("fashion-vgg"), "inception": kdlab.load_teacher("fashion-inception")}
committees = {"final alone": kdlab.combine([teacher], clean), "mean": kdlab.combine(four, clean),
              "weighted": kdlab.combine(four, clean, weights=[3, 1, 3, 3]),
              "best": kdlab.combine(four, clean, how="best")}
joined = kdlab.sweep("mlp-32", committees, part(clean), alpha=0.1, **budget)
for how in ("mean", "weighted", "best"):
    print(joined.compare({"teacher": "final alone"}, {"teacher": how}))

# %% [markdown]
# Here the wide mlp joins them, one of the two weakest by far. Who should be in? With nobody in, both twins
# learn from labels alone. Find the pair of teachers whose student gains most, and see whether it still
# does with ten seeds.

# %%
panel = kdlab.explore.committee(teachers={"wide mlp": wide}, seeds=3, epochs=15)
panel.wait()
panel

# %%
single = panel.result.teacher_accuracy
panel.wide_mlp.value = "in"
kdlab.claim("with the wide mlp in, the committee itself names fewer pictures right",
            panel.wait().teacher_accuracy < single)

# %% [markdown]
# ### What is each teacher worth?
# Pay three teachers for their common work: what does each deserve? Let them join one after another, in
# all six orders, and note by how much the student's accuracy rises as each one comes in. A teacher's
# mean over the orders is its **Shapley value** (Shapley 1953). It joins first in two orders, last in
# two, and after each single other one in one:
#
# $$\phi_A = \tfrac13 (v_A - v_\emptyset) + \tfrac16 (v_{AB} - v_B) + \tfrac16 (v_{AC} - v_C) + \tfrac13 (v_{ABC} - v_{BC})$$
#
# ### Exercise 2: the Shapley value of three
# Write `shapley_of_three`. `worth[a, b, c]` is the accuracy of the student of a coalition; each index
# is 1 for a teacher that is in, else 0. Give a tensor of three values.
#
# <details><summary>Hint 1</summary><code>worth[1, 0, 0] - worth[0, 0, 0]</code> is what the first teacher
# adds alone.</details>
# <details><summary>Hint 2</summary><code>worth.movedim(t, 0)</code> brings teacher t to the front; its
# two halves are without it and with it.</details>

# %% tags=["exercise"]
def shapley_of_three(worth):
    ...  # your lines here

# %% tags=["solution"]
def shapley_of_three(worth):
    values = []
    for teacher in range(3):
        without, joined = worth.movedim(teacher, 0)
        gain = joined - without
        values.append(gain[0, 0] / 3 + (gain[0, 1] + gain[1, 0]) / 6 + gain[1, 1] / 3)
    return torch.stack(values)

# %%
shapley_of_three = kdlab.check.shapley_of_three(shapley_of_three)

# %% [markdown]
# `kdlab.shapley` trains every coalition, with five seeds each, on the same 500 pictures: 40 students.

# %% tags=["nbval-ignore-output"]
one = part(clean)(0)
trio = {"final": teacher, "early": four["early"], "wide": wide}
shares = kdlab.shapley("mlp-32", trio, one, alpha=0.1, **budget)
print(f"{shares}\n{shares.students} students in {shares.seconds:.0f} s")
kdlab.plots.shares(shares)

# %%
means = shares.table.groupby("coalition")["accuracy"].mean()
names = [" + ".join(sorted(name for name, there in zip(trio, inside) if there)) or "none"
         for inside in torch.cartesian_prod(*3 * [torch.tensor([0, 1])]).tolist()]
worth = torch.tensor([means[name] for name in names]).reshape(2, 2, 2)
yours, theirs = shapley_of_three(worth), torch.tensor(shares.values["value"].to_numpy())
kdlab.claim("your values are kdlab's", torch.allclose(yours, theirs, atol=1e-6))
kdlab.claim("together they are what all three add to labels alone",
            abs(yours.sum() - (worth[1, 1, 1] - worth[0, 0, 0])) < 1e-6)

# %% [markdown]
# The intervals say how far the values differ from seed to seed. Compare them with how good each teacher
# is itself: in the panel above, leave one teacher in, and read the dotted line. Are they paid by their
# own accuracy? Take `part(clean)(1)`, other pictures, and see which of the
# values stay.

# %%
quiz = kdlab.check.quiz("across 2")
quiz

# %% [markdown]
# ### Students without a teacher
# Two students may also teach each other while they learn, and neither knows more than the other (Zhang
# et al. 2018, "deep mutual learning"). **Your guess:** does that help?

# %% tags=["nbval-ignore-output"]
alone = [run.scores["accuracy"] for run in shares.runs[:3]]  # of labels only, seeds 0 to 2
pairs = [kdlab.mutual(["mlp-32", "mlp-32"], one, seeds=[seed, seed + 100], **recipe) for seed in range(3)]
first = [pair[0].scores["accuracy"] for pair in pairs]
print(kdlab.verdicts.compare(alone, first, names=("alone", "with a fellow student")))

# %% [markdown]
# ## Claims on trial
# Popular articles say: **small batches reduce overfitting**, **batch normalisation prevents
# overfitting**, **augmentation makes the student robust**, **distillation improves generalisation to
# other data**, **several teachers beat one**. Overfitting is measured as accuracy on the student's own
# training pictures minus validation accuracy. Small batches get two trials: as many epochs, and as
# many steps. **Vote first:** which of the six lines below will hold?

# %%
def net():
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(784, 32), torch.nn.BatchNorm1d(32),
                               torch.nn.ReLU(), torch.nn.Linear(32, 10))

def labels_only(student="mlp-32", **changed):
    return kdlab.sweep(student, None, one, alpha=1, **budget | changed).runs

def overfitting(runs):
    return [right(run.student, one.train) / 100 - run.scores["accuracy"] for run in runs]

def elsewhere(runs, names):
    scores = [[right(run.student, seen[name].validation) / 100 for name in names] for run in runs]
    return torch.tensor(scores).mean(1).tolist()

# %%
plain, jittered = shares.runs[:5], labels_only(augment=jitter)
of_final = [shares.atlas.runs[at] for at in shares.atlas.rows({"teacher": "final"})["run"]]
gap, others = overfitting(plain), ["blurred", "pale"]
large = overfitting(labels_only(batch_size=256))
trials = {  # what should be smaller, and what should be larger
    "small batches reduce overfitting, same epochs": (overfitting(labels_only(batch_size=64)), large),
    "the same, same steps": (overfitting(labels_only(batch_size=64, epochs=5)), large),
    "batch norm prevents overfitting": (overfitting(labels_only(net)), gap),
    "noise in training: robust to noise": [elsewhere(runs, ["noisy"]) for runs in (plain, jittered)],
    "noise in training: robust to blur, pallor": [elsewhere(runs, others) for runs in (plain, jittered)],
    "distillation generalises to other views": [elsewhere(runs, views) for runs in (plain, of_final)],
    "several teachers beat one": [joined.rows({"teacher": how})["accuracy"].tolist()
                                  for how in ("final alone", "mean")]}

# %% tags=["nbval-ignore-output"]
verdicts = {claim: kdlab.verdicts.compare(*pairs) for claim, pairs in trials.items()}
said = {"better": "holds", "worse": "the opposite holds"}
pd.DataFrame({claim: [f"{100 * v.low:+.1f} to {100 * v.high:+.1f}", said.get(v.word, "cannot tell")]
              for claim, v in verdicts.items()}, index=["points, 95 % interval", "here it"]).T

# %% [markdown]
# What did you vote? None of these lines is a law. They are about a small mlp and 500 pictures, and
# some turn round with the experiment: a small batch is also a longer training, unless you count steps.
# **A claim without its experiment is not even wrong.** Change `net` to a deeper one, or give the noise
# 100 epochs, and vote again.

# %%
quiz = kdlab.check.quiz("across 3")
quiz

# %% [markdown]
# ## What you can do now
# - You have measured which tasks a teacher's knowledge reaches, and saw how the question put to it
#   decides.
# - You have sent a transfer set as a file, and seen it refused where it did not fit.
# - You have written MixUp with a teacher that sees the mixture, and know a stale record when you
#   meet one.
# - You have let several teachers speak as one, and computed what each is worth.
# - You have put claims about generalisation and overfitting to the test.
#
# **Sources.** Beyer et al. (2022), *Knowledge Distillation: A Good Teacher Is Patient and Consistent*,
# arXiv:2106.05237 · Zhang, Cisse, Dauphin & Lopez-Paz (2018), *mixup: Beyond Empirical Risk
# Minimization*, arXiv:1710.09412 · Zhang, Xiang, Hospedales & Lu (2018), *Deep Mutual Learning*,
# arXiv:1706.00384 · Shapley (1953), *A Value for n-Person Games* · Hendrycks & Dietterich (2019),
# *Benchmarking Neural Network Robustness to Common Corruptions and Perturbations*, arXiv:1903.12261 ·
# Li, Grandvalet & Davoine (2018), *Explicit Inductive Bias for Transfer Learning with Convolutional
# Networks*, arXiv:1802.01483
#
# Next, on its way: **8 · Does it really work?**, the hard questions.
