# %% [markdown]
# # 4 · Feature distillation
# **Should the student think like the teacher, or only answer like it?**
#
# So far the student heard the teacher's last word only: ten logits. Before that word, a network
# turns a picture into thousands of numbers, layer by layer. Why not show the student these, too?
# Since 2014 dozens of ways to do so were proposed, most with a table in which they win. In this
# lesson you look inside two networks, try some of these ways under equal conditions, and find out
# what they add, and when.
#
# **After this lesson you can**
# - read any layer of any network by its name;
# - make features of different shapes comparable with a projector;
# - draw where a network looks, and measure whether two networks look at the same places;
# - say in one sentence what each family of feature losses compares;
# - compare methods under an equal budget, without being fooled by their number;
# - train a student with a feature loss of your own.
#
# **Time:** 90 minutes, and the machine needs about 1 of them. **You need:** lessons 0 and 1, some
# of lesson 2, and convolutions: a map has channels, height and width.

# %%
import kdlab
import torch
import torch.nn.functional as F
from torch import nn
from kdlab import losses

# %% [markdown]
# ## Tapping a network
# Layers have names. Here are the teacher's; a dot leads into a block.

# %%
teacher = kdlab.load_teacher("fashion-cnn")
kdlab.layers.names(teacher)

# %% [markdown]
# The student of this lesson is our own, so that you see that any module will do. It cuts a picture
# into 7 × 7 patches, turns each patch into 8 numbers, and looks once at each patch with its
# neighbours. It has 9,154 parameters, the teacher 17 times as many.

# %%
from collections import OrderedDict

def student():
    return nn.Sequential(OrderedDict(
        block1=nn.Sequential(nn.Conv2d(1, 8, kernel_size=4, stride=4), nn.ReLU()),
        block2=nn.Sequential(nn.Conv2d(8, 16, kernel_size=3, padding=1), nn.ReLU()),
        flatten=nn.Flatten(),
        head=nn.Linear(16 * 7 * 7, 10),
    ))

# %% [markdown]
# `tap` reads layers while a network runs. It hangs *hooks* on them and takes the hooks off again
# when the block ends.

# %%
data = kdlab.load_data("fashion-mnist", train=500, seed=0)
net = student()
with kdlab.layers.tap(net, "block1", "block2") as seen:
    net(data.train.inputs[:1])
{name: tuple(features.shape) for name, features in seen.items()}

# %% [markdown]
# ## Making shapes alike
# The student's `block2` gives 16 channels, the teacher's 64. A loss that compares number with number
# needs equal shapes. Romero et al. (2015) put a small trained layer in between, today mostly
# called a *projector*. It learns with the student and is thrown away afterwards. For maps it is a
# 1x1 convolution: at each place, the same matrix mixes the channels.
#
# $$y_{o}(\text{place}) = b_o + \sum_c W_{oc} \, x_{c}(\text{place})$$
#
# ### Exercise 1: a projector
# Write `project`. It takes features (batch, channels, height, width), a weight (new, channels)
# and a bias (new,), and gives (batch, new, height, width).
#
# <details><summary>Hint 1</summary><code>torch.einsum("oc,bchw->bohw", ...)</code> says with letters
# which axes are multiplied and summed.</details>
# <details><summary>Hint 2</summary>A tensor of shape (new,) is lined up with the last axis, the
# width. <code>bias[:, None, None]</code> lines it up with the channels.</details>

# %% tags=["exercise"]
def project(features, weight, bias):
    ...  # your line here

# %% tags=["solution"]
def project(features, weight, bias):
    return torch.einsum("oc,bchw->bohw", weight, features) + bias[:, None, None]

# %%
project = kdlab.check.project(project)

# %% [markdown]
# kdlab builds such projectors by itself where a loss needs one, from the two shapes, and says what
# it built. Inside is what you have just written:

# %%
projector = kdlab.layers.projector((16, 7, 7), (64, 7, 7))
print(projector.said)
weight, bias = projector[0].weight[:, :, 0, 0], projector[0].bias
kdlab.claim("your function gives what the projector gives", torch.allclose(
    project(seen["block2"], weight, bias), projector(seen["block2"]), atol=1e-5))

# %% [markdown]
# ## Where do they look?
# Zagoruyko and Komodakis (2017) ask for less: not *what* the channels say, only *where* they are
# active. An **attention map** takes the mean of the squared activations over the channels, one
# number a place, and scales the map to length 1. 16 channels or 64, a map is a map: no projector is
# needed.
#
# ### Exercise 2: the attention map
# Write `attention_map`. It takes features (batch, channels, height, width) and gives (batch,
# height · width), each row of length 1.
#
# <details><summary>Hint 1</summary>Square, average over the channels (axis 1), then
# <code>.flatten(1)</code>.</details>
# <details><summary>Hint 2</summary><code>F.normalize(rows, dim=1)</code> divides each row by its
# length, and leaves a row of zeros as it is.</details>

# %% tags=["exercise"]
def attention_map(features):
    ...  # your line here

# %% tags=["solution"]
def attention_map(features):
    return F.normalize(features.square().mean(1).flatten(1), dim=1)

# %%
attention_map = kdlab.check.attention_map(attention_map)

# %% [markdown]
# Now two students. Both learn from labels and soft targets, from 500 pictures. The second one
# is also asked to look where the teacher looks: its loss has a third term, a **match** of its
# `block2` with the teacher's `block2`. The learning rate falls to 0 along a cosine. So students end
# at rest, and seeds differ less.

# %%
settings = {"temperature": 2, "epochs": 5, "batch_size": 64,
            "learning_rate": kdlab.schedules.cosine(0.016, 0)}
look_there = kdlab.Match("block2", "block2", loss=losses.attention_transfer, weight=100)
plain = kdlab.distill(student, teacher, data, **settings)
matched = kdlab.distill(student, teacher, data, match=[look_there], **settings)

# %% [markdown]
# Each picture is shown pale, and coloured where *your* maps are strong. The **overlap** is the
# inner product of the student's map with the teacher's: 0 for nothing in common, 1 for the same map.
# Before you move the slider: on which kind of clothes will the student without the match look
# elsewhere?

# %%
panel = kdlab.explore.attention(plain, matched, teacher, data, look=attention_map,
                                teacher_layer="block2")
panel

# %%
panel.example.value = 88
overlap = panel.result.mean_overlap
kdlab.claim("with the match, the maps overlap more", overlap["after"] > overlap["before"])
panel.picture

# %% [markdown]
# The match does what it asks. Whether the student *answers* better is another question, and two
# students cannot tell. We come to that below.
#
# ## Nine ideas
# The losses differ in what they compare, and so in what they leave the student free to do. The first
# three look at one picture at a time. The others look at a whole batch: which pictures belong
# together? The last one stays with the logits.
#
# | | idea | paper |
# |---|---|---|
# | hints | the same numbers, after a projector | Romero et al. 2015 |
# | attention | active at the same places | Zagoruyko & Komodakis 2017 |
# | neuron selectivity | channels that see the same patterns, in any order | Huang & Wang 2017 |
# | similarity | the same pictures are alike | Tung & Mori 2019 |
# | relations | the same distances and angles between pictures | Park et al. 2019 |
# | neighbours | the same chances of being a neighbour | Passalis & Tefas 2018 |
# | correlation | the same correlations between pictures | Peng et al. 2019 |
# | contrast | find your own picture among all those of the teacher | Tian et al. 2020 |
# | DIST | the same ranking of classes, and of pictures in each class | Huang et al. 2022 |
#
# Below is what each of them sees of the student without a match and of the teacher: twelve
# pictures, three trousers, dresses, sandals and sneakers each.

# %%
kdlab.plots.feature_views(plain, teacher, data, "block2", "block2")

# %% [markdown]
# Look at the tables of the middle row. Blocks along the diagonal are classes. The student has found
# much of this structure by itself. Now a line of code for each. "Correlation" is so much like
# "similarity" that it is left to you. DIST compares answers, so it is no match of layers: it joins
# the loss on the logits.

# %%
def match(loss, weight):
    return kdlab.Match("block2", "block2", loss=loss, weight=weight)

methods = {
    "hints": match(losses.hint_loss, 1),
    "attention": match(losses.attention_transfer, 30),
    "neuron selectivity": match(losses.neuron_selectivity_transfer, 3),
    "similarity": match(losses.similarity_preserving, 300),
    "relations": match(losses.relational_kd, 1),
    "neighbours": match(losses.probabilistic_transfer, 10_000),
    "contrast": match(losses.contrastive_representation, 3),
}

# %%
def with_dist(student_logits, teacher_logits, labels, temperature, alpha):
    terms = losses.kd_terms(student_logits, teacher_logits, labels, temperature, alpha)
    return terms | {"dist": 3 * losses.dist_loss(student_logits, teacher_logits, 4, 1, 1)}

# %% [markdown]
# ## All at one budget
# A method is easily made the winner: tune it, and leave the others as they are. Here each had the
# same chance. Beforehand we tried three weights for each, with 6 epochs on six other seeds, and kept
# the best one. All have the same student, 500 pictures a seed, 5 epochs, T = 2, and the same five
# seeds. One more row, "hints first", trains in two stages, as FitNets did: 2 epochs of hints alone,
# then 3 of soft targets.
#
# **Your guess.** Soft targets alone are the bar. How many of the eight methods above will be
# better, beyond chance?

# %%
guess = kdlab.explore.guess("methods better than soft targets alone", low=0, high=8)
guess

# %%
def measure(recipes, **changed):
    draw = lambda seed: kdlab.load_data("fashion-mnist", train=500, validation=2_000, seed=seed)
    return kdlab.sweep(student, teacher, draw, stages=recipes, seeds=5, watch=0,
                       **{**settings, **changed})

recipes = {"labels only": [{"alpha": 1}], "soft targets": [{}], "DIST": [{"loss": with_dist}]}
recipes["hints first"] = [{"epochs": 2, "match": [methods["hints"]], "loss": "match only"},
                          {"epochs": 3}]
recipes |= {name: [{"match": [one]}] for name, one in methods.items()}
compared = measure(recipes)
kdlab.plots.ranking(compared, "stages", "soft targets")

# %% tags=["nbval-ignore-output"]
table = compared.table
columns = ["accuracy", "nll", "ece", "agreement", "seconds"]
table.groupby("stages")[columns].mean().sort_values("accuracy", ascending=False).round(3)

# %%
def scores(name, metric="accuracy"):
    return table[table["stages"] == name].sort_values("seed")[metric].tolist()

def verdict(name, baseline, metric="accuracy"):
    return kdlab.verdicts.compare(scores(baseline, metric), scores(name, metric), metric,
                                  names=(baseline, name), where="500 pictures")

better = [name for name in ("DIST", *methods) if verdict(name, "soft targets").better]
guess.reveal(len(better), band=(0, 7), what="methods better than soft targets:")

# %% tags=["nbval-ignore-output"]
for name in ("relations", "attention", "hints first"):
    print(verdict(name, "soft targets"))
print(verdict("relations", "labels only"))

# %%
ahead = {name: verdict(name, "soft targets").difference for name in ("hints first", *methods)}
kdlab.claim("on average, relations are ahead of soft targets alone", ahead["relations"] > 0)
kdlab.claim("hints first, then soft targets, is behind at this budget", ahead["hints first"] < 0)
kdlab.claim("DIST makes the NLL worse, on average",
            verdict("DIST", "soft targets", "nll").difference > 0)

# %% [markdown]
# Three remarks before you believe such a table.
#
# **Many comparisons.** Ten intervals against one baseline have ten chances to miss. A lone ▲ may
# be luck; what comes back on fresh seeds is not. `python -m tools.claims 04` trains all of this
# again on 20 other sets of seeds, and counts how often each claim comes out.
#
# **Where zero lies inside**, these five pairs cannot tell. Many methods sit there. So may "labels
# only": after 5 epochs even soft targets have hardly begun to pay. We come back to that.
#
# **Accuracy is one column.** Look at NLL and at the calibration error, `ece`: what helps one may
# harm the other. And look at the seconds: "relations" compares the angles of 64³ = 262,144 triples
# in each batch.

# %%
quiz = kdlab.check.quiz("features 1")
quiz

# %% [markdown]
# ## Which layer guides which?
# How alike are two layers of two networks? Kornblith et al. (2019) compare the two tables of
# similarities between pictures in one number from 0 to 1, the **CKA**. It needs no projector and
# does not care about the order of the channels. The panel shows it for all pairs of layers, without
# a match and with it, and trains pairs of students each time you let go. Questions, with a guess
# first:
# 1. Is the most similar pair the best one to match?
# 2. Match the student's `block1` with the teacher's `block3`: what gives way?
# 3. From which weight on does a match do harm?

# %%
panel = kdlab.explore.layer_pair(teacher, student=student, teacher_layer="block2", **settings)
panel.wait()
panel

# %%
before, after = panel.result.closer
kdlab.claim("the match makes the two layers more alike", after > before)
panel.weight.value = 100
panel.wait()
kdlab.claim("a hundred times the usual weight does harm", panel.result.verdict.difference < 0)

# %% [markdown]
# ## Several at once
# `match` takes a list. The history then holds each term twice: weighted, as it enters the loss, and
# raw, in a column with `_raw` after its name.

# %%
several = [kdlab.Match("block1", "block2", loss=losses.attention_transfer, weight=30),
           kdlab.Match("block2", "block3", loss=losses.hint_loss, weight=1),
           match(losses.relational_kd, 1)]
run = kdlab.distill(student, teacher, data, match=several, **settings)
weighted = [name for name in run.history if f"{name}_raw" in run.history]
terms = run.history.set_index("epoch")[weighted]
kdlab.plots.lines(dict(terms), x="epoch", y="term, weighted", log="y")

# %%
shares = terms.div(terms.sum(axis=1), axis=0)
kdlab.claim("labels are the smallest term at the end", shares.iloc[-1].idxmin() == "labels")
kdlab.claim("teacher and matches make over 90 % of the loss, from start to end",
            (shares["labels"] < 0.1).all())

# %% [markdown]
# A large term is not yet one that helps. It may be large because the student cannot satisfy it:
# 16 channels can hardly become 128. What trains is the gradient, and the terms share one. To learn
# what a term contributes to the *answers*, leave it out and compare, in pairs.
#
# ## A loss of your own
# Any function of two tensors that gives one number will do. It gets the student's features, after a
# projector where shapes differ, and the teacher's, both (batch, channels, height, width).
#
# ### Exercise 3: your own feature loss
# Write `feature_loss`. There is no one right answer. The check tries what a student needs of it: a
# gradient for every picture, the least value at the teacher's features, no growth with the batch,
# no NaN.
#
# <details><summary>Hint 1</summary>A start: <code>F.mse_loss(student_features,
# teacher_features)</code>. Then change what is compared.</details>
# <details><summary>Hint 2</summary>Ideas: the cosine between flattened features; the means over the
# places; only the strongest channels; differences between neighbouring places.</details>

# %% tags=["exercise"]
def feature_loss(student_features, teacher_features):
    ...  # your lines here

# %% tags=["solution"]
def feature_loss(student_features, teacher_features):
    cosine = F.cosine_similarity(student_features.flatten(1), teacher_features.flatten(1))
    return 1 - cosine.mean()

# %%
feature_loss = kdlab.check.feature_loss(feature_loss)

# %% tags=["nbval-ignore-output"]
import pandas as pd
mine = measure({"my own": [{"match": [match(feature_loss, 1)]}]})
table = pd.concat([table, mine.table])
print(verdict("my own", "soft targets"))
print(verdict("my own", "labels only"))

# %% [markdown]
# ## A longer training
# Five epochs are short. Does the gain of the best method last? **Your guess:** train soft
# targets alone and soft targets with relations three times as long. Which of the two profits more?

# %%
finalists = {name: recipes[name] for name in ("soft targets", "relations")}
longer = measure(finalists, epochs=15)
curves = {}
for name in finalists:
    late = longer.rows({"stages": name}).sort_index()["accuracy"].tolist()
    curves[name] = 100 * pd.DataFrame([scores(name), late], index=[5, 15])
kdlab.plots.lines(curves, x="epochs of training", y="validation accuracy, %")

# %%
means = {name: curve.mean(axis=1) for name, curve in curves.items()}
patience = means["soft targets"][15] - means["soft targets"][5]
kdlab.claim("patience adds more to soft targets than any match did",
            patience > 100 * max(ahead.values()))

# %% [markdown]
# So features give a **head start**, and patience does more. Does the head start shrink? Look at the
# two lines: with some seeds it does, with others not, so nothing is claimed here. In the large tables
# of Tian et al. (2020), too, plain soft targets beat most feature losses. But this is one student at two budgets and no law:
# with other networks, or a teacher whose answers say little, it may turn out otherwise. Measure it.
#
# The test split, once, for both students of the longer training:

# %% tags=["nbval-ignore-output"]
tested = longer.test([{"stages": name} for name in finalists])
tested[["accuracy", "nll", "ece", "agreement", "against_the_first"]]

# %%
quiz = kdlab.check.quiz("features 2")
quiz

# %% [markdown]
# ## What you can do now
# - You have read layers by name with taps.
# - You have written a projector, and seen which ones kdlab builds.
# - You have drawn where networks look, and measured the overlap.
# - You have told in a sentence what each family of feature losses compares.
# - You have compared methods under one budget, and counted the comparisons.
# - You have trained a student with a feature loss of your own.
#
# **Sources.** Romero et al. (2015), *FitNets: Hints for Thin Deep Nets*, arXiv:1412.6550 ·
# Zagoruyko & Komodakis (2017), *Paying More Attention to Attention*, arXiv:1612.03928 · Park et al.
# (2019), *Relational Knowledge Distillation*, arXiv:1904.05068 · Tian, Krishnan & Isola (2020),
# *Contrastive Representation Distillation*, arXiv:1910.10699 · Kornblith et al. (2019), *Similarity of
# Neural Network Representations Revisited*, arXiv:1905.00414
#
# Next, on its way: **5 · Compression**, what you save, and what you lose.
