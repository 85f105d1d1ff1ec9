# %% [markdown]
# # 4 · Feature distillation
# **Should the student think like the teacher, or only answer like it?**
#
# So far the student heard the teacher's last word only: ten logits. Before that word, a network
# turns a picture into thousands of numbers, layer by layer. Why not show the student these, too?
# Since 2014 dozens of ways to do so were proposed, each with a table in which it wins. In this
# lesson you look inside two networks, try nine of the ways under equal conditions, and find out
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
# into 7 × 7 patches, turns each patch into 8 numbers, and looks once at each patch with its neighbours.
# It has 9,154 parameters, the teacher 17 times as many.

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
# called a *projector*. It learns with the student and is thrown away afterwards. For maps it is a 1x1
# convolution: at each place, the same matrix mixes the channels.
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
# kdlab builds such projectors by itself where a loss needs one, from the two shapes, and says what it
# built. Inside is what you have just written:

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
# `block2` with the teacher's `block2`.

# %%
settings = {"temperature": 2, "epochs": 8, "batch_size": 64,
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
# Look at the tables of the middle row. The blocks along the diagonal are classes. The student has
# found most of this structure by itself. A line of code for each:

# %%
def match(loss, weight, teacher_layer="block2"):
    return kdlab.Match("block2", teacher_layer, loss=loss, weight=weight)

of_pictures = {
    "hints": match(losses.hint_loss, 10, "block3"),
    "attention": match(losses.attention_transfer, 30),
    "neuron selectivity": match(losses.neuron_selectivity_transfer, 3),
}

# %%
def dist(student_logits, teacher_logits):
    return losses.dist_loss(student_logits, teacher_logits, 4, inter_weight=1, intra_weight=1)

of_batches = {
    "similarity": match(losses.similarity_preserving, 300),
    "relations": match(losses.relational_kd, 1),
    "neighbours": match(losses.probabilistic_transfer, 100_000, "block3"),
    "contrast": match(losses.contrastive_representation, 3),
    "DIST": kdlab.Match("head", "head", loss=dist, weight=1),
}

# %% [markdown]
# ## All at one budget
# A method is easily made the winner: tune it, and leave the others as they are. Here each one had the
# same chance. On six other seeds we tried two teacher layers with three weights each (three weights
# for DIST) and kept the best. All have the same student, the same 500 pictures a seed, 8 epochs,
# T = 2, and the same five seeds. One row, "hints first", is FitNets as it was published: 3 epochs of hints alone,
# then 5 of soft targets. It is the only one that splits its budget.
#
# **Your guess.** Soft targets alone are the bar. How many of the eight methods above will be better,
# beyond chance?

# %%
guess = kdlab.explore.guess("methods better than soft targets alone", low=0, high=8)
guess

# %%
def measure(recipes, **changed):
    draw = lambda seed: kdlab.load_data("fashion-mnist", train=500, seed=seed)
    return kdlab.sweep(student, teacher, draw, stages=recipes, seeds=5, watch=0,
                       **{**settings, **changed})

hints = of_pictures["hints"]
recipes = {"labels only": [{"alpha": 1}], "soft targets": [{}]}
recipes |= {name: [{"match": [one]}] for name, one in of_pictures.items()}
recipes["hints first"] = [{"epochs": 3, "match": [hints], "loss": "match only"}, {"epochs": 5}]
one_by_one = measure(recipes)
kdlab.plots.ranking(one_by_one, "stages", "soft targets")
