# %% [markdown]
# # 2 · Temperature
# **What does softening show, and what does it cost?**
#
# A sure teacher hides what it knows: 0.999 for "sneaker", and crumbs for the rest. Divide its
# logits by a number T, and the crumbs become visible. T is called the *temperature*. Every
# distillation loss has one, and most have a factor T² beside it. In this lesson you measure what
# both of them do, and you find out which T suits which student.
#
# **After this lesson you can**
# - soften a distribution by a temperature without overflow;
# - measure why the loss carries a factor T², and where that factor is too large;
# - separate the two things that T changes: the shape of the targets and the weight of the teacher;
# - say what the gradient becomes when T is very large;
# - choose T for a student of a given width and training time;
# - compare two methods that try to do without a good T.
#
# **Time:** 90 minutes, and the machine needs about 1 of them. **You need:** lessons 0 and 1; for
# one short derivation, the chain rule.

# %%
import kdlab
import pandas as pd
import torch
import torch.nn.functional as F

# %% [markdown]
# ## What softening shows
# $$p_c = \frac{e^{z_c / T}}{\sum_k e^{z_k / T}}$$
#
# T = 1 is the usual softmax. The panel below shows one picture and, beside it, what the teacher
# says about it at T. The right half, about the student, comes later. Before you move T:
# 1. Which bars grow as T grows, and in which order?
# 2. Does a class ever overtake another one?
# 3. What do the bars look like at T = 100?

# %%
data = kdlab.load_data("fashion-mnist", train=1_000, seed=0)
teacher = kdlab.load_teacher("fashion-cnn")
panel = kdlab.explore.softening(teacher, data, example=12)
panel

# %%
looks = {}
for temperature in (1, 4, 20, 100):
    panel.temperature.value = temperature
    looks[temperature] = panel.result
ranks = [look.teacher.argsort().tolist() for look in looks.values()]
kdlab.claim("no temperature changes the order of the classes", all(r == ranks[0] for r in ranks))
doubt = [look.entropy for look in looks.values()]
kdlab.claim("a larger T leaves more doubt", doubt == sorted(doubt))
kdlab.claim("at T = 100 it is over 2.28 of at most 2.30 nats", doubt[-1] > 2.28)

# %% [markdown]
# The order stays, the distances shrink. At a moderate T the small probabilities become large
# enough to be learned. At a very large one, everything looks alike, and the entropy, at the lower
# left, is nearly log 10, the most that ten classes can have. Leaf through other pictures too: for
# doubtful ones (right end) the curve starts higher.
#
# ### Exercise 1: tempered softmax
# Write `tempered_softmax`. It takes logits of shape (examples, classes) and T, and gives
# probabilities. It must also work for logits of 1,000: $e^{1000}$ is more than a computer's number
# can hold.
#
# <details><summary>Hint 1</summary>Divide by T first.</details>
# <details><summary>Hint 2</summary>Adding one number to a whole row changes no probability
# (lesson 0). Which number makes the largest exponent 0?</details>
# <details><summary>Hint 3</summary><code>.amax(1, keepdim=True)</code> gives the largest value of
# each row as a column. Torch's own softmax takes the same care.</details>

# %% tags=["exercise"]
def tempered_softmax(logits, temperature):
    ...  # your lines here

# %% tags=["solution"]
def tempered_softmax(logits, temperature):
    scaled = logits / temperature
    powers = (scaled - scaled.amax(1, keepdim=True)).exp()
    return powers / powers.sum(1, keepdim=True)

# %%
tempered_softmax = kdlab.check.tempered_softmax(tempered_softmax)

# %% [markdown]
# ## What softening costs
# A student learns through gradients. How strong is the one that the softened teacher sends? The
# lower right of the panel has it for one picture. Now for all: we take a student that was trained
# on labels, ask it and the teacher about all 10,000 validation pictures, and measure the gradient
# of KL(teacher ‖ student) with respect to the student's logits, picture by picture.
#
# **Your guess:** when T goes from 1 to 4, the gradient becomes how many times smaller?

# %%
guess = kdlab.explore.guess("times smaller, from T = 1 to T = 4", low=1, high=20)
guess

# %%
student = kdlab.train("mlp-32", data, epochs=30, seed=0)
student_logits = student.logits()
teacher_logits = kdlab.signals.answers(teacher, data.validation)

def gradients(temperature):
    logits = student_logits.clone().requires_grad_()
    loss = kdlab.losses.soft_target_kl(logits, teacher_logits, temperature)
    return len(logits) * torch.autograd.grad(loss, logits)[0]  # of each picture, times T²

# %%
grid = [0.5, 1, 2, 4, 8, 16, 32, 64]
with_factor = pd.Series({T: gradients(T).norm(dim=1).mean().item() for T in grid})
raw = with_factor / [T**2 for T in grid]
kdlab.plots.lines({"raw": raw, "times T²": with_factor}, "temperature T",
                  "size of the gradient, mean", log="xy")

# %%
fall = raw[1] / raw[4]
guess.reveal(fall, band=(3, 6), what="from T = 1 to T = 4, it became smaller by a factor")
kdlab.claim("from T = 32 to 64 it falls by a factor of 3.8 to 4.2", 3.8 < raw[32] / raw[64] < 4.2)
kdlab.claim("with the factor T² it is over 3 times larger at T = 8 than at T = 1",
            with_factor[8] > 3 * with_factor[1])

# %% [markdown]
# A fall like 1/T² would have been 16 times from T = 1 to 4. It was far less, and only at large T
# does 1/T² hold. Why? The derivative of the KL divergence is short. With $p$ the teacher's
# softened answer, $q$ the student's, and $s_c$ a logit of the student:
#
# $$\frac{\partial\,\mathrm{KL}}{\partial s_c} = \frac{1}{T}\,(q_c - p_c)$$
#
# The first 1/T comes from the chain rule, for the student's logits are divided by T. The second
# hides in $q_c - p_c$. For **large** T both answers lie close to 1/classes, and with
# $e^x\approx1+x$
#
# $$q_c - p_c \approx \frac{1}{T}\,\frac{(s_c - \bar s) - (t_c - \bar t)}{\text{classes}}$$
#
# where $\bar s$ and $\bar t$ are the means over the classes. Together: 1/T², and the factor T²
# repairs it. For **small** T, "sure" stays "sure", and $q_c - p_c$ hardly changes. There the
# gradient falls only like 1/T, and a factor of T² is too much. You see both in the figure: the raw
# line becomes steeper, and the other one rises before it settles.
#
# ### Exercise 2: the distillation loss
# Write `kd_loss`, the loss of Hinton, Vinyals and Dean:
#
# $$\alpha\cdot\mathrm{CE}(\text{student}, \text{labels}) + (1-\alpha)\cdot T^2\cdot\mathrm{KL}(\text{teacher}_T\,\|\,\text{student}_T)$$
#
# The KL divergence is summed over the classes and averaged over the batch.
#
# <details><summary>Hint 1</summary><code>F.kl_div(log_q, p, reduction="batchmean")</code> takes the
# <i>logarithm</i> of the student's probabilities, then the teacher's probabilities.</details>
# <details><summary>Hint 2</summary>The labels meet the student's own logits, at T = 1.</details>

# %% tags=["exercise"]
def kd_loss(student_logits, teacher_logits, labels, temperature, alpha):
    ...  # your lines here

# %% tags=["solution"]
def kd_loss(student_logits, teacher_logits, labels, temperature, alpha):
    log_q = F.log_softmax(student_logits / temperature, dim=1)
    p = F.softmax(teacher_logits / temperature, dim=1)
    soft = F.kl_div(log_q, p, reduction="batchmean")
    hard = F.cross_entropy(student_logits, labels)
    return alpha * hard + (1 - alpha) * temperature**2 * soft

# %%
kd_loss = kdlab.check.kd_loss(kd_loss)

# %% [markdown]
# Your function now trains a student:

# %%
run = kdlab.distill("mlp-32", teacher, data, loss=kd_loss, temperature=4, alpha=0.5, epochs=30)
kdlab.plots.history(run)

# %% [markdown]
# ## Two things at once
# So T turns two knobs. It changes the *shape* of the targets. And, even with the factor T², it
# changes the *weight* of the teacher against the labels: at T = 8 its gradient is some five times
# as large as at T = 1. A comparison of temperatures mixes the two.
#
# You can tell them apart with alpha. If the teacher's term shall count w times as much as the
# labels', then alpha = 1 / (1 + w). Only this balance matters, for the optimizer, Adam, divides
# the size of the whole loss away. Below, each name stands for a T and a w.

# %%
more = with_factor[8] / with_factor[1]
named = {"labels only": (1, 0), "T = 1": (1, 1), "T = 8": (8, 1),
         "T = 1, weight of T = 8": (1, more), "T = 8, weight of T = 1": (8, 1 / more),
         "T = 8, T² forgotten": (8, 1 / 64)}

# %% [markdown]
# **Your guess:** T = 8 is worse than T = 1 for this small student. Is it the shape or the weight?
# Choose before you run the next cells.

# %%
def draw(seed):
    return kdlab.load_data("fashion-mnist", train=1_000, seed=seed)

def trained(T):
    alphas = [1 / (1 + w) for at, w in named.values() if at == T]
    return kdlab.sweep("mlp-32", teacher, draw, seeds=5, temperature=T, alpha=alphas, epochs=30,
                       watch=0)

atlases = {T: trained(T) for T in (1, 8)}

# %% tags=["nbval-ignore-output"]
def accuracy(name):
    T, w = named[name]
    return atlases[T].rows({"alpha": 1 / (1 + w)})["accuracy"]

def against(first, second):
    return kdlab.verdicts.compare(accuracy(first), accuracy(second), names=(first, second))

shape = against("T = 1", "T = 8, weight of T = 1")
weight = against("T = 1", "T = 1, weight of T = 8")
forgotten = against("labels only", "T = 8, T² forgotten")
for verdict in (against("T = 1", "T = 8"), shape, weight, forgotten):
    print(verdict)

# %%
kdlab.claim("the shape of T = 8 costs more than its weight", shape.difference < weight.difference)
kdlab.claim("its weight alone does not make this student worse", weight.word != "worse")
near = abs(forgotten.difference) < 0.005
kdlab.claim("without T², T = 8 is within half a point of labels only", near)

# %% [markdown]
# Without T², a student at T = 8 is a student of labels: its teacher whispers. With T², the teacher
# is heard, but what it says at T = 8 suits this student less. More weight alone does no harm. It
# is the shape that costs, for this student and this short training; we come back to that. (The
# five times were measured on one trained student. During training the number changes.)

# %%
quiz = kdlab.check.quiz("temperature 1")
quiz

# %% [markdown]
# ## The limit of high T
# The derivation above says what is left when T is very large. The temperature is gone, softmax is
# gone, and what remains is a difference of logits.
#
# ### Exercise 3: the limit of the gradient
# Write `logit_matching_gradient`. It takes the logits of both, each of shape (examples, classes),
# and gives the limit of T² · ∂KL/∂s for each example, in the same shape.
#
# <details><summary>Hint 1</summary>It is the last formula above, times T².</details>
# <details><summary>Hint 2</summary>The mean of each row, as a column:
# <code>.mean(1, keepdim=True)</code>.</details>

# %% tags=["exercise"]
def logit_matching_gradient(student_logits, teacher_logits):
    ...  # your lines here

# %% tags=["solution"]
def logit_matching_gradient(student_logits, teacher_logits):
    gap = student_logits - teacher_logits
    return (gap - gap.mean(1, keepdim=True)) / gap.shape[1]

# %%
logit_matching_gradient = kdlab.check.logit_matching_gradient(logit_matching_gradient)

# %%
limit = logit_matching_gradient(student_logits, teacher_logits)
distance = pd.Series({T: ((gradients(T) - limit).norm() / limit.norm()).item() for T in grid})
kdlab.claim("at T = 1 the gradient is over 90 % away from its limit", distance[1] > 0.9)
kdlab.claim("at T = 64 it is less than 20 % away", distance[64] < 0.2)
kdlab.plots.lines({"distance": distance}, "temperature T", "distance to the limit, share", log="x")

# %% [markdown]
# At high T, distillation is *matching logits*: the student is asked to copy all centred logits, as
# with a squared error. Ba and Caruana (2014) trained small networks in just this way. Look at one
# picture again, now with our trained student: black diamonds are its answer, rings are the limit.
# At T = 1 most logits get no push at all, because p and q are both close to 0. The next cell moves
# T to 100. What will the green bars do?

# %%
panel_2 = kdlab.explore.softening(teacher, data, student, example=12)
panel_2.temperature.value = 100
pushed = panel_2.result
kdlab.claim("at T = 100 the push on every logit is close to its limit",
            (100**2 * pushed.gradient - pushed.limit).abs().max() < 0.5 * pushed.limit.abs().max())
panel_2

# %% [markdown]
# A logit of −15 or of −20 means "surely not" either way. Low T does not care; high T wants it
# copied. Is that knowledge or noise? Hinton, Vinyals and Dean left this to experiment. They found
# that a student which is much too small to copy everything does best at a moderate T.
#
# ## Which T?
# We put it to the test: students with 10, 20 and 40 hidden units, T from 1 to 20, five paired
# seeds, teacher only (alpha = 0). There is no second term to be weighed against, so what is left
# is the shape. The learning rate is three times the usual one, so that 20 epochs are enough.
#
# **Your guess:** the best of T = 1, 2, 4, 8, 20 for the student with 10 units?

# %%
guess_2 = kdlab.explore.guess("best T for 10 hidden units", low=1, high=20)
guess_2

# %%
def draw_2(seed):
    return kdlab.load_data("fashion-mnist", train=2_000, seed=seed)

widths = kdlab.sweep(["mlp-10", "mlp-20", "mlp-40"], teacher, draw_2, seeds=5, alpha=0, epochs=20,
                     temperature=[1, 2, 4, 8, 20], learning_rate=3e-3)

# %%
table = widths.table.pivot(index=["student", "temperature"], columns="seed", values="accuracy")
points = {name: 100 * table.loc[name] for name in ("mlp-10", "mlp-20", "mlp-40")}
change = {name: each - each.loc[1] for name, each in points.items()}
kdlab.plots.lines(change, "temperature T", "points against T = 1", log="x", zero=True)

# %% tags=["nbval-ignore-output"]
def hotter(name, T):
    return widths.compare(*({"student": name, "temperature": at} for at in (1, T)))

for name in change:
    print(hotter(name, 4), hotter(name, 20), sep="\n")

# %%
best = widths.pivot("student", "temperature").idxmax(axis=1)
guess_2.reveal(best["mlp-10"], band=(1, 2), what="the best T for 10 units was")
narrow, wide = hotter("mlp-10", 20).difference, hotter("mlp-40", 20).difference
kdlab.claim("10 units lose over 2 points at T = 20", narrow < -0.02)
kdlab.claim("40 units lose less there", wide > narrow)

# %% [markdown]
# The narrow student pays for every degree above 2; the wide one pays little. Hinton, Vinyals and
# Dean saw something like it on digits: with 30 units a layer, T between 2.5 and 4 was best; with
# 300 or more, all T above 8 did about alike. The numbers differ, the direction is the same: **the
# smaller the student, the lower the T that it can bear**.
#
# And the budget? A run's history holds the accuracy after each epoch, so the same runs tell us
# what we would have seen with less training.

# %%
def curve(temperature):
    runs = widths.rows({"student": "mlp-40", "temperature": temperature})["run"]
    histories = [widths.runs[at].history.set_index("epoch") for at in runs]
    return 100 * pd.concat([history["validation_accuracy"] for history in histories], axis=1)

curves = {f"T = {T}": curve(T) - curve(1) for T in (2, 4, 20)}
early, late = (curves["T = 20"].loc[epoch].mean() for epoch in (3, 20))
kdlab.claim("after 3 epochs, 40 units at T = 20 are over 2 points behind T = 1", early < -2)
kdlab.claim("after 20 epochs, less than half of that is left", late > early / 2)
kdlab.plots.lines(curves, "epoch", "points against T = 1", zero=True)

# %% [markdown]
# A high T asks for more, so it takes longer. A comparison of temperatures that stops early favours
# a low T. If you read "T = 1 is best", ask how long they trained.
#
# ### Train one now
# Students with labels and teacher, against twins with labels only. Guess first:
# 1. 8 hidden units, T = 20: is a teacher still better than none?
# 2. 256 units, 60 epochs: at which T does the gain end?
# 3. T = 8, few epochs: how much does alpha = 0.9 rescue?

# %%
panel_3 = kdlab.explore.training(teacher, temperature=4, width=8)
panel_3.wait()
panel_3

# %%
panel_3.temperature.value = 20
worse = panel_3.wait().verdict
kdlab.claim("with 8 units and T = 20, the teacher does harm here", worse.difference < 0)

# %% [markdown]
# ## Beyond one T
# One T for all pictures is a compromise. Two ideas try to do without a good choice.
#
# **Logit standardisation** (Sun et al., 2024): shift and scale each row of logits, the student's
# and the teacher's, to mean 0 and deviation 1. Then the student has to copy the pattern, and may
# choose its own size. **Decoupled distillation** (Zhao et al., 2022): split the KL divergence into
# "the right class against the rest" and "the rest among themselves", and weigh both parts. In the
# usual loss a sure teacher silences the second part. T brings it back; a weight does so directly.
# We take the weights 1 and 8, the default of the authors' code.

# %%
def standardised(student_logits, teacher_logits, labels, temperature, alpha):
    a, b = (kdlab.losses.standardize_logits(z) for z in (student_logits, teacher_logits))
    soft = kdlab.losses.soft_target_kl(a, b, temperature)
    return alpha * F.cross_entropy(student_logits, labels) + (1 - alpha) * soft

def decoupled(student_logits, teacher_logits, labels, temperature, alpha):
    soft = kdlab.losses.dkd_loss(student_logits, teacher_logits, labels, temperature, 1, 8)
    return alpha * F.cross_entropy(student_logits, labels) + (1 - alpha) * soft

# %%
settings = {"seeds": 5, "alpha": 0.1, "epochs": 25, "watch": 0}
beyond = kdlab.sweep("mlp-32", teacher, draw, temperature=[1, 8], **settings,
                     loss={"plain": None, "standardised": standardised})
decoupled_runs = kdlab.sweep("mlp-32", teacher, draw, temperature=1, loss=decoupled, **settings)

# %% tags=["nbval-ignore-output"]
def compared(one, other):
    return beyond.compare(*({"loss": name, "temperature": T} for name, T in (one, other)))

at_1 = compared(("plain", 1), ("standardised", 1))
at_8 = compared(("plain", 8), ("standardised", 8))
plain = beyond.rows({"loss": "plain", "temperature": 1})["accuracy"]
names = ("plain (T=1)", "decoupled (T=1)")
split = kdlab.verdicts.compare(plain, decoupled_runs.table["accuracy"], names=names)
print(at_1, at_8, split, sep="\n")
(100 * beyond.pivot("loss", "temperature")).round(1)

# %%
kdlab.claim("at T = 8, standardised logits beat plain ones", at_8.better)
kdlab.claim("but they do not beat plain ones at T = 1",
            not compared(("plain", 1), ("standardised", 8)).better)
kdlab.claim("the decoupled loss with these weights is worse here", split.word == "worse")

# %% [markdown]
# With standardised logits the choice of T hardly matters any more. That is worth something to
# those who cannot try many. But who has a well-chosen T gains nothing here. The decoupled loss
# does harm: its weight of 8 was chosen for 100 classes and larger networks. Perhaps a narrow
# student spends its few units on telling wrong classes apart. A method is a setting too. Choose it
# for your student, on your data.

# %%
quiz = kdlab.check.quiz("temperature 2")
quiz

# %% [markdown]
# ## The final word
# All of this was seen on validation pictures. The test pictures are used once, for the narrowest
# and the widest student.

# %% tags=["nbval-ignore-output"]
chosen = [{"student": name, "temperature": T} for name in ("mlp-10", "mlp-40") for T in (1, 4, 20)]
widths.test(chosen)[["setting", "accuracy", "nll", "ece", "agreement"]].round(3)

# %% [markdown]
# Does it tell the same story as validation? Read down the column of accuracies, first for the
# narrow student, then for the wide one.
#
# ## What you can do now
# - You have softened distributions by a temperature, without overflow.
# - You have measured why the loss carries a factor T², and seen it too large at small T.
# - You have separated the shape of the targets from the weight of the teacher.
# - You have written down what the gradient becomes at very large T, and watched it get there.
# - You have chosen T for students of different width and training time.
# - You have compared two methods that try to do without a good T.
#
# **Sources.** Hinton, Vinyals & Dean (2015), *Distilling the Knowledge in a Neural Network*,
# arXiv:1503.02531 · Ba & Caruana (2014), *Do Deep Nets Really Need to be Deep?*, NIPS · Sun, Ren,
# Li, Wang & Cao (2024), *Logit Standardization in Knowledge Distillation*, CVPR · Zhao, Cui, Song,
# Qiu & Liang (2022), *Decoupled Knowledge Distillation*, CVPR
#
# Next, on its way: **3 · Tuning alpha**, whom the student should trust.
