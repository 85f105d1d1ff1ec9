# %% [markdown]
# # 0 · Start here
# **Is this machine ready, and what will I do?**
#
# A large network knows a lot and costs a lot. A small one is cheap and learns less from the same
# pictures. *Knowledge distillation* lets the small one, the **student**, learn from the answers of
# the large one, the **teacher**. In this course you try it yourself. You move a slider, a student is
# trained while you look, and you see whether it became better.
#
# **After this lesson you can**
# - tell whether this machine has all that the lessons need;
# - move a slider, in the notebook or from code, and read what it shows;
# - read a picture of each of four words: logit, softmax, cross-entropy and KL divergence;
# - hand in an exercise, read the check's answer, and find your progress again tomorrow.
#
# **Time:** 20 minutes. **You need:** Python up to functions, and what a tensor and its shape are; no
# knowledge of distillation.
#
# To run a cell, click it and press **Shift + Enter**. Every cell needs the ones above it.

# %%
import kdlab

# %% [markdown]
# ## Is this machine ready?
# One call looks at Python, PyTorch, the memory, the data and the teachers. Files are compared with
# the fingerprints on their cards, so a broken download is noticed here and not in the middle of a
# lesson. If a line begins with `!!`, the line below it says what to do.

# %% tags=["nbval-ignore-output"]
kdlab.doctor();

# %% [markdown]
# kdlab takes the fastest device it finds: a CUDA graphics card, an Apple one, or the processor. All
# lessons are made for a processor with two cores. Your numbers may differ from a friend's in the
# last digits, because machines add in a different order. So the lessons compare *bands* and
# *claims*, not digits.

# %% tags=["nbval-ignore-output"]
print("students are trained on:", kdlab.pick_device())

# %% [markdown]
# ## Four words, one slider each
# ### Logit
# A network that sorts pictures into classes gives one number a class. These numbers are the
# **logits**. They may be negative, and they need not add up to anything. A larger logit means "more
# likely this one".
#
# Move the slider below. It changes the logit of one class only. Before you do: **will the
# probabilities of the two other classes stay where they are?**

# %%
logit = kdlab.explore.primer("logit")
logit

# %% [markdown]
# They do not stay. Probabilities share one whole, so what one class gains, the others lose. A
# notebook can move its own sliders, and from here on every lesson does so, to check itself:

# %%
logit.slider.value = 3.0
kdlab.claim("the class with the largest logit has the largest probability",
            max(logit.result.probabilities) == logit.result.probabilities[0])

# %% [markdown]
# ### Softmax
# **Softmax** turns logits into probabilities: take $e$ to the power of each logit, then divide by
# the sum.
#
# $$p_c = \frac{e^{z_c}}{\sum_k e^{z_k}}$$
#
# This slider adds the *same* number to all three logits. What do you expect?

# %%
softmax = kdlab.explore.primer("softmax")
softmax

# %%
before = list(softmax.result.probabilities)
softmax.slider.value = 4.0
change = max(abs(a - b) for a, b in zip(before, softmax.result.probabilities))
kdlab.claim("adding one number to all logits changes no probability", change < 1e-6)

# %% [markdown]
# Only the *differences* between logits count. Remember this when two networks are compared: their
# logits may differ by a constant and still say the same.
#
# ### Cross-entropy
# How wrong was a prediction? **Cross-entropy** looks at the probability $p$ that the network gave to
# the right class and charges $-\log p$. Sure and right costs nothing. Sure and wrong costs a lot.
# The unit is the *nat*, because the logarithm is the natural one.

# %%
cross_entropy = kdlab.explore.primer("cross-entropy")
cross_entropy

# %%
cross_entropy.slider.value = 0.9
cheap = cross_entropy.result.loss
cross_entropy.slider.value = 0.1
kdlab.claim("a right class at 0.1 costs over 20 times as much as one at 0.9",
            cross_entropy.result.loss > 20 * cheap)

# %% [markdown]
# ### KL divergence
# Now the truth is not one class but a whole distribution $p$, such as a teacher's answer. The **KL
# divergence** says how far a student's distribution $q$ is from it:
#
# $$\mathrm{KL}(p\,\|\,q) = \sum_c p_c \log \frac{p_c}{q_c}$$
#
# It is zero when both are equal. **Guess: if you swap the two, is it the same number?**

# %%
kl = kdlab.explore.primer("KL")
kl

# %%
kl.slider.value = 0.2
kdlab.claim("KL(p||q) and KL(q||p) differ", abs(kl.result.forward - kl.result.backward) > 0.01)

# %% [markdown]
# It has a direction. In distillation the teacher comes first: KL(teacher || student). It charges the
# student most where the teacher sees something and the student does not.
#
# ## How exercises work
# An exercise is a function with a hole. It runs from the start, and it says "not yet" until you fill
# it. Below each one stands its check. A check does not say "failed". It tries your function on a few
# small cases and tells you *which* mistake it makes, if it knows that mistake.
#
# This function should give the **entropy** of each row: how much doubt a distribution holds. You will
# write it in lesson 1. Here is a wrong one, on purpose. Read what the check says.

# %%
def entropy(probabilities):
    return -(probabilities * probabilities.log2()).sum(1)

entropy = kdlab.check.entropy(entropy, note=False)  # only an example: not noted

# %% [markdown]
# A check hands a function back: yours if it is right, ours if not. So the lesson goes on either way,
# and you can come back later. With `keep=True` you get your own function even if it is wrong, to see
# what its mistake does to a student.
#
# ## Your guess, then the result
# Before a result you are often asked for a guess. Only you see it. You remember a result better
# after a guess, most of all after a wrong one. An untouched slider is no guess.

# %%
guess = kdlab.explore.guess("pictures of 100 that the teacher names right", low=0, high=100)
guess

# %%
data = kdlab.load_data("fashion-mnist", train=1_000, seed=0)
teacher = kdlab.load_teacher("fashion-cnn")
logits = kdlab.signals.answers(teacher, data.validation)
right = 100 * kdlab.scores.accuracy(logits, data.validation.labels)
guess.reveal(right, band=(92, 94), what="of 100, the teacher named")

# %% [markdown]
# ## Keep your work
# - Save a notebook with **Ctrl + S** (on a Mac **Cmd + S**).
# - To keep the original, make a copy: *File → Duplicate Notebook*.
# - Every check writes a line to `progress.csv` beside the notebook. The table below reads it.
# - The folder `solutions` holds each lesson with its exercises solved.

# %% tags=["nbval-ignore-output"]
kdlab.check.progress()

# %% [markdown]
# ## Words
# One word for one thing, in every lesson. The Chinese terms are those of the articles that this
# course grew out of.
#
# | word | meaning | 中文 |
# |---|---|---|
# | teacher | the large network whose answers are learned | 教师模型 |
# | student | the small network that learns them | 学生模型 |
# | knowledge distillation | training a student on a teacher's answers | 知识蒸馏 |
# | label, hard label | the one right class of an example | 标签, 硬标签 |
# | logits | a network's raw numbers, one a class | 未归一化的输出 (logits) |
# | soft target | the teacher's probabilities for an example | 软目标, 软标签 |
# | dark knowledge | what a soft target says about the wrong classes | 暗知识 |
# | temperature, T | divides the logits before softmax; larger is softer | 温度 |
# | alpha | weight of the labels; the teacher has 1 − alpha | alpha 权重系数 |
# | entropy | how much doubt a distribution holds, in nats | 熵 |
# | cross-entropy | cost of a prediction against a target | 交叉熵 |
# | KL divergence | distance of one distribution from another, with a direction | KL 散度, 相对熵 |
# | transfer set | examples, often without labels, that the teacher marks | 迁移集 |
# | hint | a teacher's hidden layer that a student imitates | 提示 (中间层特征) |
# | feature distillation | learning from hidden layers | 特征蒸馏 |
# | projector, knowledge mapping network | maps the student's space to the teacher's | 投影层, 知识映射网络 |
# | agreement | share of inputs on which student and teacher name one class | 一致率 |
# | calibration | whether a probability of 0.8 is right 8 times of 10 | 校准 |
# | validation set | examples for choosing settings | 验证集 |
# | test set | examples for the final word, used once | 测试集 |
# | seed, paired seeds | fixes the chance in a run; two settings share it | 随机种子, 配对种子 |
# | 95 % interval | where the true difference lies, as far as the runs can tell | 置信区间 |
# | overfitting | good on seen examples, worse on new ones | 过拟合 |
# | pruning, quantisation | removing weights; storing them in fewer bits | 剪枝, 量化 |
# | transfer learning | starting from another task's weights | 迁移学习 |
# | MixUp | blending two examples into one | MixUp 混合增强 |
# | Shapley value | a fair share of a joint result | 夏普利值 |
#
# ## What you can do now
# - You have told whether this machine has all that the lessons need.
# - You have moved a slider, by hand and from code, and read what it shows.
# - You have read one picture each of logit, softmax, cross-entropy and KL divergence.
# - You have seen a check name a mistake, and you know where your progress is kept.
#
# **Sources.** Hinton, Vinyals & Dean (2015), *Distilling the Knowledge in a Neural Network*,
# arXiv:1503.02531 · Cover & Thomas (2006), *Elements of Information Theory*, chapter 2 · Xiao, Rasul
# & Vollgraf (2017), *Fashion-MNIST*, arXiv:1708.07747
#
# Next: **1 · Soft targets**, what a teacher knows that the labels do not.
