"""What is minimised: pure functions on tensors, one paper each.

First the losses on logits, then those on features. A feature is what a layer gives for each
example: vectors (batch, width), or maps (batch, channels, height, width), flattened where a paper
works on vectors. Student and teacher hold the same examples in the same order. A batch of one
example, or a row of zeros, gives a finite value and gradient everywhere.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from kdlab.errors import Refusal

# ---------------------------------------------------------------- on logits


def soft_target_kl(student_logits: Tensor, teacher_logits: Tensor, temperature: float) -> Tensor:
    """KL divergence from softened teacher to softened student, times T².

    L = T² · mean over the batch of Σ_c p_c (log p_c − log q_c),
    p = softmax(teacher / T), q = softmax(student / T)

    student_logits, teacher_logits: (batch, classes), before any softmax.
    temperature: > 0; 1 leaves the logits as they are.
    For T large beside the logits the gradient falls like 1/T²; the factor balances that limit
    (Hinton, Vinyals & Dean 2015, section 2).
    """
    student = F.log_softmax(_wide(student_logits) / temperature, dim=1)
    teacher = F.log_softmax(_wide(teacher_logits) / temperature, dim=1)
    return temperature**2 * _divergence(teacher, student).mean()


def kd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    temperature: float,
    alpha: float,
) -> Tensor:
    """The distillation loss: labels weighed by alpha, the teacher by 1 − alpha.

    L = alpha · CE(student, labels) + (1 − alpha) · T² · KL(teacher_T || student_T)

    student_logits, teacher_logits: (batch, classes).  labels: as in `label_loss`; a row without one
    counts in the teacher's term alone.  temperature: > 0.  alpha: 0 to 1; 1 = labels only.
    (Hinton, Vinyals & Dean 2015, section 2.)
    """
    return sum(kd_terms(student_logits, teacher_logits, labels, temperature, alpha).values())


def kd_terms(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    temperature: float,
    alpha: float,
) -> dict[str, Tensor]:
    """The two weighted terms of `kd_loss` by name; a term of weight zero is left out."""
    terms = {}
    if alpha > 0:
        terms["labels"] = alpha * label_loss(student_logits, labels)
    if alpha < 1:
        terms["teacher"] = (1 - alpha) * soft_target_kl(student_logits, teacher_logits, temperature)
    return terms


def label_loss(student_logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy averaged over the labelled rows; 0 where a batch has none.

    L = mean over the labelled rows of − Σ_c y_c log q_c,  q = softmax(student)

    student_logits: (batch, classes).  labels: (batch,), −100 for a row without one; or (batch,
    classes) of probabilities, as MixUp makes them, zeros for a row without one.
    """
    logits = _wide(student_logits)
    soft = labels.ndim == 2
    total = F.cross_entropy(logits, labels.to(logits.dtype) if soft else labels, reduction="sum")
    labelled = labels.sum(dim=1) > 0 if soft else labels >= 0
    return total / labelled.sum().clamp(min=1)


def standardize_logits(logits: Tensor) -> Tensor:
    """Logits shifted and scaled to mean 0 and deviation 1 in each row.

    z → (z − mean_c z) / std_c z, with the unbiased standard deviation

    logits: (batch, classes); the result is as large. A row of equal logits stays near 0. With both
    logits standardised, `soft_target_kl` leaves free how far the student's spread; only the labels
    set that.  (Sun et al. 2024, "Logit Standardization in Knowledge Distillation".)
    """
    return math.sqrt(logits.shape[1] - 1) * _deviations(_wide(logits), dim=1)


def dkd_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    labels: Tensor,
    temperature: float,
    target_weight: float,
    nontarget_weight: float,
) -> Tensor:
    """Decoupled distillation: target against the rest, and the rest among themselves.

    L = T² · mean over the rows of target_weight · KL(b_teacher || b_student)
        + nontarget_weight · KL(r_teacher || r_student);
    b: the softened probabilities of the target and of all other classes together,
    r: those of the other classes, scaled to sum to 1.
    Weights 1 and 1 − (the teacher's softened target probability) would give `soft_target_kl`.

    student_logits, teacher_logits: (batch, classes).  labels: (batch,); a row without a label
    (−100) has no target to split at, and is left out of the mean.  temperature: > 0.
    Raises Refusal for labels (batch, classes): a mixture has no one target to split at.
    (Zhao et al. 2022, "Decoupled Knowledge Distillation".)
    """
    if labels.ndim != 1:
        raise Refusal(
            f"dkd_loss splits at each row's one target: expected labels (batch,), got "
            f"{tuple(labels.shape)}. With MixUp take another loss, such as kd_loss."
        )
    classes = student_logits.shape[1]
    labelled = labels >= 0
    target = labels.clamp(min=0)[:, None]
    others = (target + torch.arange(1, classes, device=labels.device)) % classes

    def split(logits: Tensor) -> tuple[Tensor, Tensor]:
        logits = _wide(logits) / temperature
        rest = logits.gather(1, others)
        binary = torch.cat([logits.gather(1, target), rest.logsumexp(dim=1, keepdim=True)], dim=1)
        return F.log_softmax(binary, dim=1), F.log_softmax(rest, dim=1)

    student_binary, student_rest = split(student_logits)
    teacher_binary, teacher_rest = split(teacher_logits)
    rows = target_weight * _divergence(teacher_binary, student_binary)
    rows = rows + nontarget_weight * _divergence(teacher_rest, student_rest)
    return temperature**2 * (rows * labelled).sum() / labelled.sum().clamp(min=1)


def dist_loss(
    student_logits: Tensor,
    teacher_logits: Tensor,
    temperature: float,
    inter_weight: float,
    intra_weight: float,
) -> Tensor:
    """One minus the correlation of the softened answers, along classes and along the batch.

    L = T² · (inter_weight · (1 − mean over rows of ρ(q_i, p_i))
        + intra_weight · (1 − mean over classes of ρ(q_·c, p_·c))),
    p = softmax(teacher / T), q = softmax(student / T), ρ = Pearson's correlation

    student_logits, teacher_logits: (batch, classes).  temperature: > 0.  A row or a column without
    spread correlates with nothing (ρ = 0); a batch of one example has no second term.
    (Huang et al. 2022, "Knowledge Distillation from A Stronger Teacher".)
    """
    student = F.softmax(_wide(student_logits) / temperature, dim=1)
    teacher = F.softmax(_wide(teacher_logits) / temperature, dim=1)

    def uncorrelated(dim: int) -> Tensor:
        return 1 - (_deviations(student, dim) * _deviations(teacher, dim)).sum(dim).mean()

    loss = inter_weight * uncorrelated(dim=1)
    if len(student) > 1:
        loss = loss + intra_weight * uncorrelated(dim=0)
    return temperature**2 * loss


# ---------------------------------------------------------------- on features


def hint_loss(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Mean squared difference: the student's features shall be the teacher's.

    L = mean over examples and features of (s − t)²

    student_features, teacher_features: of one shape (batch, ...). Raises Refusal where the shapes
    differ: a projector makes them alike.  (Romero et al. 2015, "FitNets".)
    """
    return F.mse_loss(*_alike("hint_loss", student_features, teacher_features))


def attention_transfer(student_map: Tensor, teacher_map: Tensor, p: float = 2) -> Tensor:
    """Mean squared difference of where the two look, whatever channel looks there.

    L = mean of (a_s / ‖a_s‖ − a_t / ‖a_t‖)²,  a = mean over channels of |f|^p at each position

    student_map, teacher_map: (batch, channels, height, width); channels may differ, and the larger
    map is pooled to the smaller's height and width.  p: 1 or more; larger looks at the peaks.
    (Zagoruyko & Komodakis 2017, "Paying More Attention to Attention".)
    """
    maps = _maps("attention_transfer", student_map, teacher_map)
    student, teacher = (_unit(f.abs().pow(p).mean(dim=1).flatten(1)) for f in maps)
    return F.mse_loss(student, teacher)


def neuron_selectivity_transfer(student_map: Tensor, teacher_map: Tensor) -> Tensor:
    """Distance between the two sets of patterns that the channels see (squared MMD).

    L = mean k(t_i, t_j) + mean k(s_i, s_j) − 2 mean k(s_i, t_j),  k(a, b) = (a · b)²;
    s_i, t_j: a channel's activations over all positions, as a vector of length 1

    student_map, teacher_map: (batch, channels, height, width); channels may differ, and the larger
    map is pooled to the smaller's height and width.
    (Huang & Wang 2017, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer".)
    """
    maps = _maps("neuron_selectivity_transfer", student_map, teacher_map)
    student, teacher = (_unit(f.flatten(2)) for f in maps)

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return _products(a, b).square().mean()

    return kernel(teacher, teacher) + kernel(student, student) - 2 * kernel(student, teacher)


def similarity_preserving(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """Mean squared difference of the two tables of similarities between examples.

    L = mean of (G_s − G_t)²,  G = F Fᵀ with each row scaled to length 1, F: (batch, features)

    student_features, teacher_features: (batch, ...), of any widths.
    (Tung & Mori 2019, "Similarity-Preserving Knowledge Distillation".)
    """
    pair = _rows(student_features, teacher_features)
    student, teacher = (_unit(_products(rows, rows)) for rows in pair)
    return F.mse_loss(student, teacher)


def relational_kd(
    student_vec: Tensor,
    teacher_vec: Tensor,
    distance_weight: float = 25,
    angle_weight: float = 50,
) -> Tensor:
    """Difference of the figures that the examples form: distances of pairs, angles of triples.

    L = distance_weight · mean h(d_ij^s − d_ij^t) + angle_weight · mean h(cos_ijk^s − cos_ijk^t);
    d_ij: distance of two examples over the batch's mean distance, cos_ijk: cosine of the angle at
    example i between j and k, h: Huber's loss

    student_vec, teacher_vec: (batch, ...), of any widths. Memory grows with the batch's third
    power (128: 8 MB a table).  (Park et al. 2019, "Relational Knowledge Distillation".)
    """
    student, teacher = map(_figure, _rows(student_vec, teacher_vec))
    loss = distance_weight * F.smooth_l1_loss(student[0], teacher[0])
    return loss + angle_weight * F.smooth_l1_loss(student[1], teacher[1])


def probabilistic_transfer(student_features: Tensor, teacher_features: Tensor) -> Tensor:
    """KL divergence between the two answers to "who are my neighbours?".

    L = mean over i, j of p_ij log(p_ij / q_ij);  p, q of the teacher and of the student:
    (cosine of examples i and j + 1) / 2, scaled to sum to 1 over j

    student_features, teacher_features: (batch, ...), of any widths.
    (Passalis & Tefas 2018, "Learning Deep Representations with Probabilistic Knowledge Transfer".)
    """
    tiny = 1e-7  # the authors' own; opposite examples have probability 0
    units = (_unit(rows, added=tiny) for rows in _rows(student_features, teacher_features))
    student, teacher = (F.normalize(_products(unit, unit) + 1, p=1, dim=1) for unit in units)
    return (teacher * ((teacher + tiny) / (student + tiny)).log()).mean()


def correlation_congruence(
    student_vec: Tensor, teacher_vec: Tensor, gamma: float = 0.4, order: int = 2
) -> Tensor:
    """Mean squared difference of the two tables of correlations between examples.

    L = mean of (K_s − K_t)²,  K_ij = e^(−2γ) · Σ_{p=0…order} (2γ)^p / p! · cos(i, j)^p,
    the Gaussian kernel exp(−γ ‖f_i − f_j‖²) of features of length 1 as a Taylor series

    student_vec, teacher_vec: (batch, ...), of any widths.  gamma: > 0.  order: 1 or more.
    (Peng et al. 2019, "Correlation Congruence for Knowledge Distillation".)
    """
    units = (_unit(rows) for rows in _rows(student_vec, teacher_vec))
    student, teacher = (_products(unit, unit) for unit in units)
    difference = sum(  # of the two series; the term p = 0 is the same in both
        (2 * gamma) ** p / math.factorial(p) * (student**p - teacher**p)
        for p in range(1, order + 1)
    )
    return (math.exp(-2 * gamma) * difference).square().mean()


def contrastive_representation(
    student_vec: Tensor, teacher_vec: Tensor, temperature: float = 0.1
) -> Tensor:
    """Cross-entropy of finding an example's other view among the whole batch.

    L = mean of CE(S, i) over rows and over columns of S,  S_ij = cos(s_i, t_j) / temperature:
    given the student's features, which are the teacher's of the same example, and the other way.

    student_vec, teacher_vec: of one shape (batch, ...).  temperature: > 0. Raises Refusal where the
    shapes differ. log(batch) where all scores are equal; not 0 at the teacher.
    (Tian, Krishnan & Isola 2020, "Contrastive Representation Distillation". They draw negatives of
    other classes from a memory bank; here the other examples of the batch, of whatever class, are
    the negatives, in both directions: InfoNCE, van den Oord et al. 2018.)
    """
    student, teacher = _alike("contrastive_representation", student_vec, teacher_vec)
    scores = _products(_unit(student.flatten(1)), _unit(teacher.flatten(1))) / temperature
    same = torch.arange(len(scores), device=scores.device)
    return (F.cross_entropy(scores, same) + F.cross_entropy(scores.T, same)) / 2


# The feature losses that compare a student and a teacher of different widths by themselves.
_MAPS = {attention_transfer, neuron_selectivity_transfer}
_VECTORS = {similarity_preserving, relational_kd, probabilistic_transfer, correlation_congruence}
ACROSS_SHAPES = frozenset(_MAPS | _VECTORS)


# ---------------------------------------------------------------- what they share


def _wide(values: Tensor) -> Tensor:
    """float16 and bfloat16 as float32: their exponentials overflow or lose the tail."""
    return values.float() if values.element_size() < 4 else values


def _divergence(teacher: Tensor, student: Tensor) -> Tensor:
    """KL(teacher || student) of each row of log-probabilities."""
    return (teacher.exp() * (teacher - student)).sum(dim=1)


def _unit(
    values: Tensor, dim: int = -1, least: Tensor | float = 1e-12, added: float = 0.0
) -> Tensor:
    """Vectors scaled to length 1; one not longer than `least` has no direction and stays.

    So the gradient of a row of zeros is small: divided by something tiny it would explode.
    """
    length = values.norm(dim=dim, keepdim=True)
    return values / (length.where(length > least, 1) + added)


def _deviations(values: Tensor, dim: int) -> Tensor:
    """Deviations from the mean, scaled to length 1, unless they are nothing but rounding."""
    rounding = 8 * torch.finfo(values.dtype).eps * values.norm(dim=dim, keepdim=True)
    return _unit(values - values.mean(dim=dim, keepdim=True), dim, least=rounding)


def _products(a: Tensor, b: Tensor) -> Tensor:
    """All inner products of the rows of a and b; under autocast in full precision too."""
    with torch.autocast(a.device.type, enabled=False):
        return a @ b.mT


def _figure(rows: Tensor) -> tuple[Tensor, Tensor]:
    """Distances of all pairs (over their mean), and cosines of the angles of all triples.

    Pairs that are one point up to rounding have distance 0, no angle, and no gradient.
    """
    rows = rows - rows.mean(dim=0)  # far from the origin the products would lose digits
    products = _products(rows, rows)
    squares = products.diagonal()[:, None] + products.diagonal()
    apart = squares - 2 * products > 8 * torch.finfo(rows.dtype).eps * squares
    sides = (squares - 2 * products).where(apart, 1).sqrt().where(apart, 0)
    mean = sides.sum() / apart.sum().clamp(min=1)
    sides = sides / mean.where(mean > 0, 1)
    # A triangle's sides give its angles (law of cosines). Inner products of all differences give
    # the same, and take as many times longer as the features are wide.
    inverse = 1 / sides.where(apart, torch.inf)
    squares = sides.square()
    cosines = squares[:, :, None] + squares[:, None, :] - squares
    return sides, cosines * (inverse[:, :, None] / 2) * inverse[:, None, :]


def _same_examples(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Both in one float type, at least 32 bits wide."""
    if len(student) != len(teacher):
        raise Refusal(
            f"{len(student)} examples of the student's features, {len(teacher)} of the teacher's: "
            "expected the same examples in the same order."
        )
    student = _wide(student)
    return student, teacher.to(student.dtype)


def _rows(student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Both as vectors (batch, features)."""
    student, teacher = _same_examples(student, teacher)
    return student.flatten(1), teacher.flatten(1)


def _alike(loss: str, student: Tensor, teacher: Tensor) -> tuple[Tensor, Tensor]:
    """Both as vectors, or a refusal: torch would stretch a size of 1 to fit, and say nothing."""
    if student.shape[1:] != teacher.shape[1:]:
        raise Refusal(
            f"{loss} compares features of one shape: the student's are {_each(student)} for each "
            f"example, the teacher's {_each(teacher)}. A projector makes them alike."
        )
    return _rows(student, teacher)


def _maps(loss: str, *pair: Tensor) -> list[Tensor]:
    """Both as maps, the larger pooled to the smaller; or a refusal where one is no map."""
    if {features.ndim for features in pair} != {4}:
        raise Refusal(
            f"{loss} compares maps (channels, height, width): the student's features are "
            f"{_each(pair[0])} for each example, the teacher's {_each(pair[1])}. Take layers "
            "before the flattening, or a loss for vectors, such as similarity_preserving."
        )
    pair = _same_examples(*pair)
    size = torch.Size(map(min, pair[0].shape[2:], pair[1].shape[2:]))
    return [f if f.shape[2:] == size else F.adaptive_avg_pool2d(f, size) for f in pair]


def _each(features: Tensor) -> str:
    return str(tuple(features.shape[1:]))
