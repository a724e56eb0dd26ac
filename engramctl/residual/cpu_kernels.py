"""The residual in numba: coefficients with Sinkhorn, collapse, and expand with the next collapse.

Shapes: N tokens, D model width, R branches, V = R * D, Z = 2R + R * R (mHC) or R + 2 (HC). Branches
are float32 or the bits of bfloat16 (uint16); sums are float32, each output is rounded once.
Sinkhorn runs on `_LANES` tokens side by side. Columns go in blocks that stay in the first-level
cache, one output at a time, since LLVM vectorises loops of few pointers. R = 4 has code of its own.
"""

# mypy: disable-error-code="no-untyped-def,no-untyped-call"
import math
from typing import Any

import numpy as np

from engramctl.residual.bf16_values import narrowed, widened
from engramctl.runtime.kernel_cache import njit

_LANES = 16  # tokens normalised side by side
_BLOCK = 512  # columns mixed at a time
_LEAST_LOGIT = np.float32(-78.6)  # below a row's largest: exp of less vanishes in float32
_ONE = np.float32(1.0)
# Sums may be reordered; NaN and infinity stay what they are.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "fastmath": {"reassoc", "contract", "nsz"},
}


@njit(**_OPTIONS)
def _project(x_V, weight_VZ, out_Z):
    """Set out to x @ weight: four rows a pass, so that out is loaded and stored a quarter as often.

    Returns the sum of squares of x.
    """
    length, columns = weight_VZ.shape
    squares = np.float32(0.0)
    out_Z[:] = 0.0
    for k in range(0, length - 3, 4):
        a, b = widened(x_V[k]), widened(x_V[k + 1])
        c, d = widened(x_V[k + 2]), widened(x_V[k + 3])
        squares += a * a + b * b + c * c + d * d
        for z in range(columns):
            out_Z[z] += (
                a * weight_VZ[k, z] + b * weight_VZ[k + 1, z]
                + c * weight_VZ[k + 2, z] + d * weight_VZ[k + 3, z]
            )  # fmt: skip
    for k in range(length - length % 4, length):
        a = widened(x_V[k])
        squares += a * a
        for z in range(columns):
            out_Z[z] += a * weight_VZ[k, z]
    return squares


@njit(**_OPTIONS)
def _squares(x_V):
    total = np.float32(0.0)
    for k in range(len(x_V)):
        value = widened(x_V[k])
        total += value * value
    return total


@njit(**_OPTIONS)
def _sigmoid(value):
    return _ONE / (_ONE + np.float32(math.exp(-value)))


@njit(**_OPTIONS)
def _normalise(mix_EL, lanes, branches, eps, along_rows):
    """Divide each row (or column) of every lane's matrix by its sum plus eps."""
    step, jump = (1, branches) if along_rows else (branches, 1)
    if branches == 4:
        for line in range(4):
            at = line * jump
            a, b = mix_EL[at], mix_EL[at + step]
            c, d = mix_EL[at + 2 * step], mix_EL[at + 3 * step]
            for lane in range(lanes):
                inverse = _ONE / (a[lane] + b[lane] + c[lane] + d[lane] + eps)
                a[lane] *= inverse
                b[lane] *= inverse
                c[lane] *= inverse
                d[lane] *= inverse
        return
    sums = np.empty(_LANES, np.float32)
    for line in range(branches):
        sums[:] = eps
        for k in range(branches):
            row = mix_EL[line * jump + k * step]
            for lane in range(lanes):
                sums[lane] += row[lane]
        for k in range(branches):
            row = mix_EL[line * jump + k * step]
            for lane in range(lanes):
                row[lane] /= sums[lane]


@njit(**_OPTIONS)
def _sinkhorn(mix_EL, lanes, branches, iterations, eps):
    """Turn logits into `comb` of the release form; see `engramctl.residual.sinkhorn`."""
    eps = np.float32(eps)
    for lane in range(lanes):
        for i in range(branches):
            row = mix_EL[i * branches : (i + 1) * branches, lane]
            most, total = row[0], np.float32(0.0)
            for o in range(1, branches):
                most = max(most, row[o])
            for o in range(branches):
                row[o] = math.exp(max(row[o] - most, _LEAST_LOGIT))
                total += row[o]
            for o in range(branches):
                row[o] = row[o] / total + eps
    _normalise(mix_EL, lanes, branches, eps, False)
    for _ in range(iterations - 1):
        _normalise(mix_EL, lanes, branches, eps, True)
        _normalise(mix_EL, lanes, branches, eps, False)


@njit(**_OPTIONS)
def mhc_rows(
    X_NRD, phi_VZ, m_NZ, alpha_3, bias_Z, iterations, eps, rms_eps, paper,
    pre_NR, post_NR, comb_NRR, first, last,
):  # fmt: skip
    """Fill the coefficients of tokens first to last; m_NZ is X @ phi, or has no rows."""
    branches, columns = X_NRD.shape[1], len(bias_Z)
    length = branches * X_NRD.shape[2]
    m = np.empty(columns, np.float32)
    mix = np.ones((branches * branches, _LANES), np.float32)
    for start in range(first, last, _LANES):
        lanes = min(_LANES, last - start)
        for lane in range(lanes):
            token = start + lane
            x = X_NRD[token].reshape(length)
            if len(m_NZ):
                squares = _squares(x)
                m[:] = m_NZ[token]
            else:
                squares = _project(x, phi_VZ, m)
            inverse = np.float32(1 / math.sqrt(squares / length + rms_eps))
            for k in range(branches):
                pre = m[k] * inverse * alpha_3[0] + bias_Z[k]
                pre_NR[token, k] = _sigmoid(pre) + eps
                post = m[branches + k] * inverse * alpha_3[1] + bias_Z[branches + k]
                post_NR[token, k] = np.float32(2.0) * _sigmoid(post)
            for i in range(branches):
                for o in range(branches):
                    z = 2 * branches + (o * branches + i if paper else i * branches + o)
                    logit = m[z] * inverse * alpha_3[2] + bias_Z[z]
                    mix[i * branches + o, lane] = logit
        _sinkhorn(mix, lanes, branches, iterations, eps)
        for lane in range(lanes):
            for i in range(branches):
                for o in range(branches):
                    comb_NRR[start + lane, i, o] = mix[i * branches + o, lane]


@njit(**_OPTIONS)
def hc_rows(
    X_NRD, weight_DZ, m_MZ, static_RZ, scale_Z, rms_eps, pre_NR, post_NR, comb_NRR, first, last
):
    """Fill HC's coefficients of tokens first to last; m_MZ is X @ weight by branch, or empty."""
    branches, width = X_NRD.shape[1:]
    m = np.empty(len(scale_Z), np.float32)
    for token in range(first, last):
        for i in range(branches):
            if len(m_MZ):
                squares = _squares(X_NRD[token, i])
                m[:] = m_MZ[token * branches + i]
            else:
                squares = _project(X_NRD[token, i], weight_DZ, m)
            inverse = np.float32(1 / math.sqrt(squares / width + rms_eps))
            for z in range(len(scale_Z)):
                m[z] = static_RZ[i, z] + scale_Z[z] * np.float32(math.tanh(m[z] * inverse))
            post_NR[token, i] = m[0]
            pre_NR[token, i] = m[1]
            for o in range(branches):
                comb_NRR[token, i, o] = m[2 + o]


@njit(**_OPTIONS)
def _mix(weights_R, X_RD, gain, y_D, start, stop, out_D):
    """Set columns start to stop of out to sum_i weights[i] X[i] + gain y; y may be None.

    Loops run from 0 over slices: an index that might be negative would keep them scalar.
    """
    out = out_D[start:stop]
    if len(weights_R) == 4:
        a, b, c, d = weights_R[0], weights_R[1], weights_R[2], weights_R[3]
        x0, x1, x2, x3 = (
            X_RD[0, start:stop], X_RD[1, start:stop], X_RD[2, start:stop], X_RD[3, start:stop],
        )  # fmt: skip
        if y_D is None:
            for k in range(len(out)):
                total = a * widened(x0[k]) + b * widened(x1[k])
                out[k] = narrowed(total + c * widened(x2[k]) + d * widened(x3[k]), out)
        else:
            y = y_D[start:stop]
            for k in range(len(out)):
                total = a * widened(x0[k]) + b * widened(x1[k]) + gain * widened(y[k])
                out[k] = narrowed(total + c * widened(x2[k]) + d * widened(x3[k]), out)
        return
    total = np.zeros(stop - start, np.float32)
    if y_D is not None:
        y = y_D[start:stop]
        for k in range(len(total)):
            total[k] = gain * widened(y[k])
    for i in range(len(weights_R)):
        weight, x = weights_R[i], X_RD[i, start:stop]
        for k in range(len(total)):
            total[k] += weight * widened(x[k])
    for k in range(len(total)):
        out[k] = narrowed(total[k], out)


@njit(**_OPTIONS)
def collapse_rows(X_NRD, pre_NR, u_ND, first, last):
    """Set u to sum_i pre[i] X[i] for tokens first to last."""
    width = X_NRD.shape[2]
    for token in range(first, last):
        for start in range(0, width, _BLOCK):
            stop = min(start + _BLOCK, width)
            _mix(pre_NR[token], X_NRD[token], _ONE, None, start, stop, u_ND[token])


@njit(**_OPTIONS)
def expand_rows(X_NRD, y_ND, post_NR, comb_NRR, pre_NR, out_NRD, u_ND, first, last):
    """Set out[o] to sum_i comb[i, o] X[i] + post[o] y, and u to the collapse of out by pre.

    `pre_NR` without rows: u is not asked for.
    """
    branches, width = X_NRD.shape[1:]
    weights = np.empty(branches, np.float32)
    for token in range(first, last):
        X, y, out = X_NRD[token], y_ND[token], out_NRD[token]
        for start in range(0, width, _BLOCK):
            stop = min(start + _BLOCK, width)
            for o in range(branches):
                for i in range(branches):
                    weights[i] = comb_NRR[token, i, o]
                _mix(weights, X, post_NR[token, o], y, start, stop, out[o])
            if len(pre_NR):
                _mix(pre_NR[token], out, _ONE, None, start, stop, u_ND[token])
