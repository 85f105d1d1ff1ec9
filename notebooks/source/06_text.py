# %% [markdown]
# # 6 · Text
# **How much of a transformer fits into one megabyte?**
#
# So far students looked at pictures. Most of what machines read is text, and the best readers are
# transformers: tens of millions of parameters at the least, billions often. For one narrow task a
# far smaller net may do, if it has somebody to learn from. In this lesson a fine-tuned transformer
# teaches students of one megabyte to tell the topic of a definition, and you find out what they owe
# to its answers, to texts without labels, and to its inner vectors.
#
# **After this lesson you can**
# - turn texts into rows of numbers, and keep padding out of a mean;
# - build the TextCNN, and say what each of its steps is for;
# - distil from recorded answers, without the teacher and without a label;
# - measure what unlabelled texts are worth;
# - put a student's size and speed beside its teacher's;
# - map knowledge between two spaces of vectors, and recognise a collapse.
#
# **Time:** 90 minutes, and the machine needs about 1 of them. **You need:** lessons 0 and 1.

# %%
import kdlab
import pandas as pd
import torch
from torch import nn

# %% [markdown]
# ## Words as numbers
# The texts are *glosses*: definitions of English nouns from WordNet, in ten topics. Here is one of
# each, as a student sees them: in small letters, words and signs apart.

# %%
data = kdlab.load_data("glosses", train=1_000, unlabelled=5_000, seed=0)
vocabulary, validation = data.vocabulary, data.validation
pd.set_option("display.max_colwidth", 100)
one_each = data.train[torch.arange(0, 1_000, 100)]
pd.DataFrame({"topic": [data.classes[topic] for topic in one_each.labels],
              "gloss": vocabulary.decode(one_each.inputs)})

# %% [markdown]
# A network needs numbers. The **vocabulary** numbers the words, the most frequent first. Two numbers
# are no words: 1 stands for every word that is *unknown*, and 0 is **padding**. A batch is a table,
# and all its rows are equally long; where a text ends early, there is nothing, and 0 says so.

# %%
rows = vocabulary.encode(["A small wild cat", "a grey quokkasaurus"], length=6)
print(f"{len(vocabulary):,} words", rows, vocabulary.decode(rows), sep="\n")

# %% [markdown]
# ### Exercise 1: encode, and a mean without padding
# Write `encode(texts, numbers, length)`. Words are in small letters, and apart by spaces; `numbers`
# is a dict from word to number. Give a tensor of whole numbers (texts, length): the first `length`
# words, 1 for unknown ones, then 0.
#
# <details><summary>Hint 1</summary><code>numbers.get(word, 1)</code> for each word of
# <code>text.lower().split()</code> makes a list of a text.</details>
# <details><summary>Hint 2</summary><code>(row + [0] * length)[:length]</code> fills a list up, and
# cuts it off.</details>

# %% tags=["exercise"]
def encode(texts, numbers, length):
    ...  # your lines here

# %% tags=["solution"]
def encode(texts, numbers, length):
    rows = [[numbers.get(word, 1) for word in text.lower().split()] for text in texts]
    return torch.tensor([(row + [0] * length)[:length] for row in rows])

# %%
encode = kdlab.check.encode(encode)
texts = vocabulary.decode(data.train.inputs)
kdlab.claim("your rows are those of the data set",
            torch.equal(encode(texts, vocabulary.numbers, 24), data.train.inputs))

# %% [markdown]
# Each word gets a **vector**, 32 numbers that training finds. The simplest reader takes the mean of
# a text's vectors, and a linear layer names the topic: the student `text-bag`. The mean must not
# count padding, or a short text would mostly say "nothing here". So a **mask** says where words are.
#
# Write `masked_mean(vectors, numbers)`: vectors (batch, words, width) and numbers (batch, words)
# give (batch, width). A text without any word gives zeros.
#
# <details><summary>Hint</summary><code>there = (numbers != 0).unsqueeze(2)</code> has the shape
# (batch, words, 1). Multiply, sum over the words, divide by <code>there.sum(1).clamp(min=1)</code>.
# </details>

# %% tags=["exercise"]
def masked_mean(vectors, numbers):
    ...  # your lines here

# %% tags=["solution"]
def masked_mean(vectors, numbers):
    there = (numbers != 0).unsqueeze(2)
    return (vectors * there).sum(1) / there.sum(1).clamp(min=1)

# %%
masked_mean = kdlab.check.masked_mean(masked_mean)

# %% [markdown]
# ## The teacher
# The teacher is MiniLM, a transformer of the BERT family, fine-tuned on all 14,400 training glosses.
# To run it, you would install the extra `text`. The lesson does not need it: the teacher was asked
# once about every gloss, and `load_teacher` gives the **record** of its answers.
# It reads with a tokenizer of its own, which cuts rare words into pieces: *quokkasaurus* becomes
# *quo*, *##kka*, *##saurus*. So 30,522 pieces spell every word, and none is unknown; a student knows
# whole words, or nothing.

# %%
teacher = kdlab.load_teacher("glosses-minilm")
card = kdlab.files.read_card("glosses-minilm")
print(card["what"])

# %% [markdown]
# Before you admire a transformer, ask what something plain reaches. Here: a logistic regression on
# TF-IDF, which counts words and cares for no order, with all 14,400 labels. **Your guess:** how many
# points is it behind the teacher?

# %%
guess = kdlab.explore.guess("points behind the teacher", low=0, high=40)
guess

# %%
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline

whole = kdlab.load_data("glosses")
counts = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\S+")
plain = make_pipeline(counts, SGDClassifier(loss="log_loss", alpha=2e-5, random_state=0))
plain.fit(vocabulary.decode(whole.train.inputs), whole.train.labels)
of_plain = plain.score(vocabulary.decode(validation.inputs), validation.labels)
of_teacher = kdlab.scores.accuracy(teacher.look_up(validation), validation.labels)
guess.reveal(100 * (of_teacher - of_plain), band=(5, 13), what="points behind:")

# %% [markdown]
# Counting words goes a long way. And what does the teacher say that a label does not? Some
# validation glosses about which it is in doubt, with its two first answers at T = 2:

# %%
said = (teacher.look_up(validation) / 2).softmax(1)
doubtful = said.amax(1).sub(0.5).abs().argsort()[:6]
two = said[doubtful].topk(2)
pd.DataFrame({"gloss": vocabulary.decode(validation.inputs[doubtful]),
              "label": [data.classes[topic] for topic in validation.labels[doubtful]],
              "first": [data.classes[topic] for topic in two.indices[:, 0]],
              "second": [data.classes[topic] for topic in two.indices[:, 1]]})

# %% [markdown]
# ## Filters that slide over words
# A mean loses all order: "dog bites man" is "man bites dog". The **TextCNN** of Kim (2014) keeps
# some. A filter covers 3 words in a row (others 4 or 5), slides over the text, and is large where the
# words fit: "a kind of", perhaps, or "of the family". Then comes a ReLU, and **max over time**:
# of each filter only the largest value is kept. It says *whether* the phrase is there; where, and how
# long the text is, no longer matters.
#
# ### Exercise 2: the TextCNN
# Write `text_cnn(filters, head, vectors)`. `filters` holds three `nn.Conv1d` layers, of 3, 4 and 5
# words; `head` is a linear layer; vectors are (batch, words, width). Give the logits.
#
# <details><summary>Hint 1</summary>A <code>Conv1d</code> slides along the last axis:
# <code>vectors.transpose(1, 2)</code>.</details>
# <details><summary>Hint 2</summary>For each layer <code>.relu().amax(2)</code>; side by side with
# <code>torch.cat(..., 1)</code>; then the head. No softmax: these are logits.</details>

# %% tags=["exercise"]
def text_cnn(filters, head, vectors):
    ...  # your lines here

# %% tags=["solution"]
def text_cnn(filters, head, vectors):
    rows = vectors.transpose(1, 2)
    largest = [each(rows).relu().amax(2) for each in filters]
    return head(torch.cat(largest, 1))

# %%
text_cnn = kdlab.check.text_cnn(text_cnn)

# %% [markdown]
# With it you make a student of your own, 16 filters of each width. `WordVectors` holds vectors for
# the 8,000 most frequent words; all others are unknown to it. Like Kim, we draw short vectors at the
# start. Long ones would hardly be moved by a short training.

# %%
class TextCNN(nn.Module):
    def __init__(self, filters=16):
        super().__init__()
        self.vectors = kdlab.nets.WordVectors()
        nn.init.uniform_(self.vectors.table.weight.data[1:], -0.25, 0.25)
        self.filters = nn.ModuleList(
            nn.Conv1d(32, filters, words, padding=words - 1) for words in (3, 4, 5))
        self.head = nn.Linear(3 * filters, 10)

    def forward(self, numbers):
        return text_cnn(self.filters, self.head, self.vectors(numbers))

# %% [markdown]
# ## Three ways to learn
# A student can learn from 1,000 **labels**; from labels and the teacher's **answers** to the same
# texts; or from these and its answers to 5,000 **more** texts that nobody labelled (lesson 1 did so
# with pictures). All three make the same number of steps. T = 2 and the learning rates were chosen
# beforehand, from a few each, on other seeds.
#
# **Your guess:** a bag learns from 1,000 labels. How many points of accuracy do the teacher's answers,
# with those to 5,000 more texts, add?

# %%
guess = kdlab.explore.guess("points more, from 5,000 more texts", low=-10, high=40)
guess

# %%
def draw(seed, unlabelled=5_000):
    return kdlab.load_data("glosses", train=1_000, unlabelled=unlabelled, seed=seed)

def learn(student, rate, seed, drawn=None, **options):
    return kdlab.distill(student, teacher, drawn or draw(seed), seed=seed, temperature=2,
                         learning_rate=kdlab.schedules.cosine(rate, 0), batch_size=64,
                         watch=0, progress=False, **options)

ways = {"labels": {"alpha": 1, "epochs": 12}, "answers": {"epochs": 12},
        "more": {"transfer": True, "epochs": 2}}
runs = {way: [learn("text-bag", 0.1, seed, **options) for seed in range(4)]
        for way, options in ways.items()}

# %% tags=["nbval-ignore-output"]
columns = ["accuracy", "nll", "ece", "agreement"]
def means(runs):
    return pd.DataFrame({way: pd.DataFrame([run.scores for run in some])[columns].mean()
                         for way, some in runs.items()}).T.astype(float).round(3)

def verdict(runs, way, baseline, metric="accuracy"):
    pair = [[run.scores[metric] for run in runs[name]] for name in (baseline, way)]
    return kdlab.verdicts.compare(*pair, metric, names=(baseline, way))

print(verdict(runs, "answers", "labels"), verdict(runs, "more", "answers"), sep="\n")
means(runs)

# %%
gain = verdict(runs, "more", "labels")
guess.reveal(100 * gain.difference, band=(5, 18), what="points more:")
kdlab.claim("more texts beat labels alone", gain.better)
kdlab.claim("answers to the same texts make the NLL smaller",
            verdict(runs, "answers", "labels", "nll").better)
sure = [teacher.look_up(part).softmax(1).amax(1).mean() for part in (data.train, data.transfer)]
kdlab.claim("the teacher is surer of texts that it was trained on", sure[0] > sure[1])

# %% [markdown]
# Answers to the *same* texts add little. The teacher was trained on these texts and knows them nearly
# by heart: its answers to them are hardly softer than labels. **What pays is its word on new texts**,
# with words that no label ever reached.
#
# And your TextCNN? It is slower to train, so here are labels against more texts only, three seeds.

# %%
own_runs = {way: [learn(TextCNN, 0.03, seed, **ways[way]) for seed in range(3)]
            for way in ("labels", "more")}
kdlab.claim("the TextCNN, too, is better from more texts",
            verdict(own_runs, "more", "labels").better)
both = [means(some).loc["more", "accuracy"] for some in (runs, own_runs)]
kdlab.claim("with 6,000 texts, the bag is ahead of the TextCNN", both[0] > both[1])

# %% [markdown]
# Topics are mostly told by single words, and order takes more texts to be learned. **The cleverer
# student is not the better one at every budget.**
#
# What is one more text worth? The bag again, with the same number of steps at each point. Before you
# look: does the line rise to its end?

# %%
more = {1_000: 6, 11_000: 1}  # unlabelled texts: passes over all
seen = {extra: [learn("text-bag", 0.1, seed, draw(seed, extra), transfer=True, epochs=passes)
                for seed in range(4)] for extra, passes in more.items()}
seen |= {0: runs["answers"], 5_000: runs["more"]}
curve = pd.DataFrame({1_000 + extra: [100 * run.scores["accuracy"] for run in four]
                      for extra, four in sorted(seen.items())}).T
heights = curve.mean(axis=1)
kdlab.claim("answers to 6,000 texts beat answers to 2,000", heights[6_000] > heights[2_000])
kdlab.plots.lines({"text-bag": curve}, x="texts with an answer (1,000 of them with a label)",
                  y="validation accuracy, %", log="x")

# %% [markdown]
# Where it bends, remember that all points have the same number of steps: of 12,000 texts, each is seen
# once. More texts want more steps, too.

# %%
quiz = kdlab.check.quiz("text 1")
quiz

# %% [markdown]
# ## A teacher who is not there
# Nobody has run a transformer here. The record holds each example's number (`indices`) and the
# teacher's logits, in an order of its own. Batches are shuffled, so each answer must be looked up by
# number. Take answers by position, and the student learns one text with another one's answer: no
# error, a falling loss, and nonsense.
#
# ### Exercise 3: distil from a record
# Write `recorded_kd`: the loss T² · KL(teacher || student) of a batch, with the answers found in the
# record. `indices` are the numbers of the batch's examples, `recorded` those of the record.
#
# <details><summary>Hint 1</summary><code>(indices[:, None] == recorded)</code> is a table, True where
# a row's number stands; <code>.int().argmax(1)</code> finds the place.</details>
# <details><summary>Hint 2</summary><code>kdlab.losses.soft_target_kl(student_logits, teacher_logits,
# temperature)</code> has T² inside.</details>

# %% tags=["exercise"]
def recorded_kd(student_logits, indices, recorded, answers, temperature):
    ...  # your lines here

# %% tags=["solution"]
def recorded_kd(student_logits, indices, recorded, answers, temperature):
    rows = (indices[:, None] == recorded).int().argmax(1)
    return kdlab.losses.soft_target_kl(student_logits, answers[rows], temperature)

# %%
recorded_kd = kdlab.check.recorded_kd(recorded_kd)

# %% [markdown]
# Now a loop of your own, and **not one label**: 5,000 texts, and what the record says about them.
# The student learns on your function alone.

# %%
torch.manual_seed(0)
own = kdlab.models.build("text-bag", (24,), 10)
optimizer = torch.optim.Adam(own.parameters(), lr=0.05)
answers, texts = teacher.logits.float(), data.transfer
for _ in range(2):
    for rows in torch.randperm(len(texts)).split(64):
        loss = recorded_kd(own(texts.inputs[rows]), texts.indices[rows], teacher.indices, answers, 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

# %%
no_label = kdlab.report(own, data)["accuracy"]
kdlab.claim("without a label, it beats every bag that had 1,000 labels",
            no_label > max(run.scores["accuracy"] for run in runs["labels"]))

# %% [markdown]
# ## Into one megabyte
# Now 14,400 labels, and the teacher's answers to 15,000 more texts, one pass over all. Beside both
# students stands a `text-gru`, which reads word after word into a state; it is slow to train, and had
# 3,000 texts only. The teacher's figures are those of its card, on two cores.

# %% tags=["nbval-ignore-output"]
large = kdlab.load_data("glosses", unlabelled=15_000, seed=0)
once = {"transfer": True, "epochs": 1}
final = {"TextCNN": learn(TextCNN, 0.02, 0, large, **once),
         "text-bag": learn("text-bag", 0.1, 0, large, **once),
         "text-gru": learn("text-gru", 0.06, 0, draw(0, 2_000), **ways["more"])}
shown = ["accuracy", "agreement", "parameters", "bytes", "latency_ms", "latency_ms_64"]
costs = pd.DataFrame({name: kdlab.report(run, data, teacher) for name, run in final.items()}).T
costs.loc["TF-IDF"] = {"accuracy": of_plain, "parameters": plain[-1].coef_.size}
costs.loc["teacher"] = {"accuracy": of_teacher, **card["costs"]}
costs[shown]

# %%
kdlab.claim("your TextCNN has under 2 % of the teacher's bytes",
            costs.loc["TextCNN", "bytes"] < 0.02 * costs.loc["teacher", "bytes"])
in_vectors = final["TextCNN"].student.vectors.table.weight.numel()
kdlab.claim("over 95 % of its parameters are word vectors",
            in_vectors > 0.95 * costs.loc["TextCNN", "parameters"])
kdlab.claim("TextCNN and bag are less than 12 points behind the teacher",
            costs.loc[["TextCNN", "text-bag"], "accuracy"].min() > of_teacher - 0.12)
kdlab.claim("TF-IDF, which has no teacher, is less than 2 points behind the better of them",
            of_plain > costs.loc[["TextCNN", "text-bag"], "accuracy"].max() - 0.02)

# %% [markdown]
# No student has reached its teacher. Each is about a hundredth of its size; read the milliseconds, too.
# And counting words, with all labels, keeps up with both: **try the plain thing first.** If one
# megabyte is too much, you know now where to cut: fewer words, or shorter vectors.
#
# ## Mapping knowledge
# Inside, the teacher has a vector of each gloss. The record `glosses-minilm-vectors` holds it for the
# training glosses, in 64 numbers. The student's features live in a space of their own, of 32 numbers.
# A **knowledge mapping network** learns a map from the student's space to the teacher's, and one back.
# The student's loss is the error in the *teacher's* space. The way back learns by reconstruction
# only, and does not touch the student. Its weight was chosen from four, on other seeds. Does it help?

# %% tags=["nbval-ignore-output"]
vectors = kdlab.load_teacher("glosses-minilm-vectors")
options = {"temperature": 2, "epochs": 12, "batch_size": 64, "watch": 0, "progress": False,
           "learning_rate": kdlab.schedules.cosine(0.1, 0)}

match = kdlab.Match("features", "vector", loss=kdlab.KnowledgeMapping(), weight=1)
runs["mapping"] = [kdlab.distill("text-bag", vectors, draw(seed), seed=seed, match=[match],
                                 **options) for seed in range(4)]
print(verdict(runs, "mapping", "answers"), verdict(runs, "mapping", "answers", "nll"), sep="\n")

# %% [markdown]
# What has changed inside? Below are 1,000 training glosses that these students have *not* seen, in
# the two directions in which the teacher's vectors vary most. One student brings its own map. For two
# others, one untrained and one that never heard of the vectors, we fit the best linear map afterwards.
# How much of the teacher's vectors can be read off each?

# %%
unseen = whole.train[~torch.isin(whole.train.indices, data.train.indices)]
unseen = unseen[torch.arange(0, len(unseen), 13)]
aims = [kdlab.signals.features(vectors, part, ["vector"])["vector"]
        for part in (data.train, unseen)]

def features(net, split):
    return kdlab.layers.read(net, split, "features")["features"]

def best_map(net):
    known, new = [nn.functional.pad(features(net, part), (0, 1), value=1)
                  for part in (data.train, unseen)]
    return new @ torch.linalg.lstsq(known, aims[0]).solution

# %%
own_map = next(iter(runs["mapping"][0].projectors.values())).there
clouds = {"untrained": best_map(kdlab.models.build("text-bag", (24,), 10)),
          "answers alone": best_map(runs["answers"][0].student),
          "with the mapping": own_map(features(runs["mapping"][0].student, unseen)).detach()}
kdlab.plots.mapping(aims[1], clouds, unseen.labels, data.classes,
                    ["animal", "person", "location", "act"])

# %% [markdown]
# **The tempting mistake.** Why not map the *teacher's* vector into the student's space, and let both
# sides learn to meet there? Because nothing holds them: they meet most cheaply at nothing.
# `joint=True` does so. Watch the spread of the student's features.

# %%
def spread(joint):
    seen = []
    def look(epoch, net):
        inside = kdlab.layers.read(net, data.train, "features")["features"]
        seen.append(inside.std(0).mean().item())
    match = kdlab.Match("features", "vector", loss=kdlab.KnowledgeMapping(joint=joint), weight=1)
    kdlab.distill("text-bag", vectors, data, match=[match], loss="match only", after_epoch=look,
                  **options)
    return pd.Series(seen, index=range(1, 13))

spreads = {"in the teacher's space": spread(joint=False), "joint": spread(joint=True)}
kdlab.claim("joint features end with less than half of the spread",
            spreads["joint"].iloc[-1] < 0.5 * spreads["in the teacher's space"].iloc[-1])
kdlab.plots.lines(spreads, x="epoch", y="spread of the student's features")

# %% [markdown]
# ## Type a sentence
# Here are your students beside the teacher, softened by T. Words in brackets are unknown to them.
# The record has answers to its own texts only; with the extra `text`, `kdlab.load_teacher` with
# `live=True` brings the teacher itself, who answers to all. Try to fool one student and not the
# other: what does the bag make of "a dish for a cat" and of "a cat for a dish"?

# %%
panel = kdlab.explore.sentence(final, vocabulary, data.classes, teacher,
                               text=vocabulary.decode(validation.inputs[doubtful[:1]])[0])
panel

# %%
panel.temperature.value = 2
panel.text.value = "a quokkasaurus that eats grass"
kdlab.claim("one word is unknown to all of them", panel.result.unknown == ("quokkasaurus",))
panel.picture

# %% [markdown]
# ## On real news
# Where the extra `text` is installed, `load_data("bbc-news")` gives headlines of five topics. A bag
# that has all labels teaches one that has 100 of them, on 1,000 more headlines.

# %% tags=["nbval-ignore-output"]
try:
    news = kdlab.load_data("bbc-news", train=100, unlabelled=1_000, seed=0)
    rate = {"learning_rate": 0.03, "batch_size": 32, "progress": False, "watch": 0}
    big = kdlab.train("text-bag", "bbc-news", epochs=15, **rate).student
    alone = kdlab.train("text-bag", news, teacher=big, epochs=66, **rate)
    taught = kdlab.distill("text-bag", big, news, temperature=2, transfer=True, epochs=6, **rate)
    print(means({"labels": [alone], "more": [taught]}))
except kdlab.Refusal as missing:
    print(missing)

# %%
quiz = kdlab.check.quiz("text 2")
quiz

# %% [markdown]
# ## What you can do now
# - You have turned texts into rows of numbers, and kept padding out of a mean.
# - You have built the TextCNN, and trained it as a student.
# - You have distilled from recorded answers, without the teacher and without a label.
# - You have measured what unlabelled texts are worth.
# - You have put the size and speed of students beside their teacher's.
# - You have mapped a student's space to its teacher's, and watched a collapse.
#
# **Sources.** Kim (2014), *Convolutional Neural Networks for Sentence Classification*,
# arXiv:1408.5882 · Tang et al. (2019), *Distilling Task-Specific Knowledge from BERT into Simple
# Neural Networks*, arXiv:1903.12136 · Wang et al. (2020), *MiniLM: Deep Self-Attention Distillation*,
# arXiv:2002.10957 · Romero et al. (2015), *FitNets: Hints for Thin Deep Nets*, arXiv:1412.6550
#
# Next: **7 · Across data sets**, what travels?
