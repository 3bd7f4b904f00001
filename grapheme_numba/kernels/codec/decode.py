"""Outputs back to answers: the number under a noisy code, and the length of every decoded answer.

Judging decoded answers row by row: how long they are, and whether they are right.
"""

import numpy as np
from numba import njit, prange

from grapheme_numba.jit import BORROWED, PARALLEL, SERIAL
from grapheme_numba.kernels.codec.tables import CLEAR, LABEL, REAL, TEXT, TURN, ExactNumber

TINY = 1e-9  # of variances and amplitudes that may be 0
EXACT = 0.1  # how far the amplitude of an exact code may be from 1
LEARNED = 0.25  # a sine of which nothing is known has a variance of 0.5
NEAR = 3.0  # standard deviations within which two estimates agree


@njit(**BORROWED)
def exact_number(domain, answers):
    """The code of the whole numbers of a domain, as `decode_number` reads it."""
    first, stop = answers.period_start[domain], answers.period_start[domain + 1]
    return ExactNumber(
        answers.limit[domain],
        answers.magnitude[domain],
        answers.wave[domain],
        answers.magnitude_variance[domain],
        answers.periods[first:stop],
        answers.wave_variance[first:stop],
    )


@njit(**BORROWED)
def decode_number(code, number):
    """The number (int64, value * 10**decimals) under a noisy code, and a confidence in [0, 1].

    Coarse to fine: the magnitude first, then each period refines the estimate while its sine and cosine
    are clear (amplitude) and agree with what the coarser ones said. The first that does not ends it,
    so an unsure network keeps its smooth estimate. Where it is known how well a network has learned each period
    (`number.magnitude_variance` is not negative), only a chain of exact codes counts, and else all are fused.
    """
    limit, periods = number.limit, number.periods
    estimate = min(max(np.float64(code[0]) / number.magnitude, -1.0), 1.0) * limit
    doubt = 0.25 * limit  # how far an exact code within 0.25 per output can be off so far
    sure = 0.0
    n_stage = periods.shape[0]
    known, exact = number.magnitude_variance >= 0.0, True
    for stage in range(n_stage):
        sine, cosine = np.float64(code[1 + 2 * stage]) / number.wave, np.float64(code[2 + 2 * stage]) / number.wave
        amplitude = np.sqrt(sine * sine + cosine * cosine)
        period = periods[stage]
        refined = period * np.arctan2(sine, cosine) / (2.0 * np.pi)
        refined += period * np.floor((estimate - refined) / period + 0.5)
        if not (amplitude > CLEAR and abs(refined - estimate) <= doubt + TURN * period):
            break
        estimate = refined
        doubt = TURN * period
        sure += min(amplitude, 1.0)
        exact = exact and abs(amplitude - 1.0) < EXACT  # one chain in thirty of pure noise does not break
    else:
        known = known and not exact
    if known:
        estimate = fused(code, number)
    scaled = np.floor(min(max(estimate, -limit), limit) + 0.5) if estimate == estimate else 0.0
    return np.int64(scaled), sure / n_stage


@njit(**BORROWED)
def fused(code, number):
    """The estimate (float64) that fuses the magnitude and each period by the inverse of their residual variances.

    A period that is less sure than the estimate so far changes little, and one whose turns the estimate cannot tell
    apart, or that contradicts it, nothing.
    """
    limit = number.limit
    estimate = min(max(np.float64(code[0]) / number.magnitude, -1.0), 1.0) * limit
    variance = number.magnitude_variance * limit * limit + TINY
    for stage in range(number.periods.shape[0]):
        sine, cosine = np.float64(code[1 + 2 * stage]) / number.wave, np.float64(code[2 + 2 * stage]) / number.wave
        amplitude = np.sqrt(sine * sine + cosine * cosine) + TINY
        period = number.periods[stage]
        place = period * np.arctan2(sine, cosine) / (2.0 * np.pi)
        place += period * np.floor((estimate - place) / period + 0.5)
        turn = period / (2.0 * np.pi * min(amplitude, 1.0))
        own = turn * turn * (number.wave_variance[stage] + TINY)
        told_apart = variance < (period / 6.0) ** 2 and number.wave_variance[stage] < LEARNED
        if told_apart and (place - estimate) ** 2 <= NEAR * NEAR * (variance + own):
            estimate += variance / (variance + own) * (place - estimate)
            variance = variance * own / (variance + own)
    return estimate


@njit(**BORROWED)
def decode_numbers(outputs, answers, scaled_out, confidence_out):
    """Decode n numbers of domain 0: outputs (n, n_output) -> scaled_out (n,) int64, confidence_out (n,) float32."""
    number = exact_number(0, answers)
    for row in range(outputs.shape[0]):
        scaled_out[row], confidence_out[row] = decode_number(outputs[row], number)


@njit(**BORROWED)
def decode_real(output, mean, std, reach, decimals):
    """(scaled, value) under a standardised code: mean + std * output within `reach` of the mean, and on its grid.

    scaled : int64, the value in units of 10**-decimals
    """
    step = std * np.float64(output)
    if step != step:
        step = 0.0
    value = mean + min(max(step, -reach), reach)
    if decimals >= 0:
        return np.int64(np.floor(value * 10.0**decimals + 0.5)), value
    return np.int64(np.floor(value / 10.0 ** (-decimals) + 0.5)), value


@njit(**BORROWED)
def decode_reals(outputs, mean, std, reach, decimals, scaled_out, value_out):
    """Decode n numbers: outputs (n, n_output) -> scaled_out (n,) int64, value_out (n,) float64 before rounding."""
    for row in range(outputs.shape[0]):
        scaled_out[row], value_out[row] = decode_real(outputs[row, 0], mean, std, reach, decimals)


@njit(**BORROWED)
def real_of(code, domain, answers):
    """The number under one row of outputs of a REAL domain, int64 in units of 10**-decimals."""
    mean, std, reach = answers.mean[domain], answers.std[domain], answers.reach[domain]
    scaled, _ = decode_real(code[0], mean, std, reach, answers.decimals[domain])
    return scaled


@njit(**BORROWED)
def decode_byte(code, position):
    """Byte number `position` of a text code and the least clear of its bits, in [0, 1]."""
    byte = 0
    clear = 1.0
    for bit in range(8):
        output = code[position * 8 + bit]
        if output > 0.5:
            byte |= 1 << bit
        margin = abs(output - 0.5) * 2.0
        if not margin >= clear:  # a NaN is not clear at all
            clear = margin if margin == margin else 0.0
    return byte, clear


@njit(**BORROWED)
def decode_texts(outputs, bytes_out, size_out, confidence_out):
    """Decode n texts: outputs (n, 8 * n_char) -> bytes_out (n, n_char) uint8, size_out (n,) int32."""
    n_char = outputs.shape[1] // 8
    for row in range(outputs.shape[0]):
        size_out[row] = n_char
        clear = 1.0
        for position in range(n_char):
            byte, least = decode_byte(outputs[row], position)
            clear = min(clear, least)
            bytes_out[row, position] = byte
            if byte == 0:
                size_out[row] = position
                break
        confidence_out[row] = clear


@njit(**BORROWED)
def number_length(scaled, decimals, fixed):
    """Characters of a decimal number, as `answers.decimal_text` writes it."""
    length = 1 if scaled < 0 else 0
    rest = abs(scaled)
    fraction = max(decimals, 0)
    if scaled != 0:
        length += max(-decimals, 0)
    if not fixed:
        while fraction > 0 and rest % 10 == 0:
            rest //= 10
            fraction -= 1
    digits = 1
    while rest >= 10:
        rest //= 10
        digits += 1
    if fraction == 0:
        return length + digits
    return length + max(digits, fraction + 1) + 1


@njit(**BORROWED)
def decoded_length(code, domain, answers):
    """Code points of the answer under one row of outputs."""
    kind = answers.kind[domain]
    if kind == TEXT:
        length = 0
        for position in range(answers.n_output[domain] // 8):
            byte, _ = decode_byte(code, position)
            if byte == 0:
                break
            if byte & 0xC0 != 0x80:
                length += 1
        return length
    if kind == LABEL:
        best = 0
        for label in range(1, answers.n_output[domain]):
            if code[label] > code[best]:
                best = label
        return answers.label_length[answers.label_start[domain] + best]
    if kind == REAL:
        return number_length(real_of(code, domain, answers), answers.decimals[domain], answers.fixed[domain] != 0)
    scaled, _ = decode_number(code, exact_number(domain, answers))
    return number_length(scaled, answers.decimals[domain], answers.fixed[domain] != 0)


@njit(**BORROWED)
def decoded_lengths(domain, outputs, answers, length_out):
    """Code points of the decoded answers of a mixed batch.

    domain : (B,) int32; outputs : (B, n_target), each example's own outputs from column 0
    answers : Answers (`Layout.answers`); length_out : (B,) int32, overwritten
    """
    for row in range(domain.shape[0]):
        length_out[row] = decoded_length(outputs[row], domain[row], answers)


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
    if kind == REAL:
        return real_of(output, domain, answers) == real_of(target, domain, answers)
    exact = exact_number(domain, answers)
    number, _ = decode_number(output, exact)
    wanted_number, _ = decode_number(target, exact)
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


@njit(**SERIAL)
def edit_distance(first, second):
    """Characters to insert, delete or replace to make one text of another (Levenshtein's distance).

    first, second : (n,), (m,) uint32 code points

    Wagner and Fischer, "The string-to-string correction problem", J. ACM 21 (1974): one row of the table at a time.
    """
    row = np.arange(second.shape[0] + 1)
    for i in range(first.shape[0]):
        diagonal, row[0] = row[0], i + 1
        for j in range(second.shape[0]):
            replaced = diagonal + (first[i] != second[j])
            diagonal = row[j + 1]
            row[j + 1] = min(replaced, row[j] + 1, row[j + 1] + 1)
    return row[-1]
