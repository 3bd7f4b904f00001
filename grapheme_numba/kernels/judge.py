"""Judging decoded answers row by row: how long they are, and whether they are right."""

from numba import njit, prange

from grapheme_numba.jit import PARALLEL, SERIAL
from grapheme_numba.kernels.codes import LABEL, TEXT
from grapheme_numba.kernels.decode import decode_byte, decode_number, decoded_length


@njit(**SERIAL)
def same_answer(output, target, domain, answers):
    """Whether one row of outputs decodes to the same answer as one row of targets (an exact code)."""
    kind = answers.kind[domain]
    if kind == TEXT:
        for position in range(answers.n_output[domain] // 8):
            byte, _ = decode_byte(output, position)
            wanted, _ = decode_byte(target, position)
            if byte != wanted:
                return False
            if wanted == 0:
                return True
        return True
    if kind == LABEL:
        best = wanted_label = 0
        for label in range(1, answers.n_output[domain]):
            if output[label] > output[best]:
                best = label
            if target[label] > target[wanted_label]:
                wanted_label = label
        return best == wanted_label
    periods = answers.periods[answers.period_start[domain] : answers.period_start[domain + 1]]
    number, _ = decode_number(output, answers.limit[domain], periods)
    wanted_number, _ = decode_number(target, answers.limit[domain], periods)
    return number == wanted_number


@njit(**PARALLEL)
def judge(domain, outputs, targets, n_active, answers, length_out, right_out):
    """Judge a mixed batch.

    Parameters
    ----------
    domain, n_active : (batch,) int32
    outputs, targets : (batch, n_target) float
        Each example's own outputs and targets from column 0.
    answers : Answers
        The codecs, `Layout.answers`.
    length_out : (batch,) int32
        Code points of the decoded answer. Overwritten.
    right_out : (batch,) bool
        Whether it is the expected one; False where nothing is active. Overwritten.
    """
    for row in prange(domain.shape[0]):
        length_out[row] = decoded_length(outputs[row], domain[row], answers)
        right_out[row] = n_active[row] > 0 and same_answer(outputs[row], targets[row], domain[row], answers)
