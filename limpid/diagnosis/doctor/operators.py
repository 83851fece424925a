"""The only operators that the doctor knows by name: losses, and what they expect.

That a loss contains a softmax, and which numbers its target may hold, is in no declaration.
"""

from __future__ import annotations

# Losses of a choice among classes, each with the numbers of its scores and of its target.
# They are −log softmax(scores) at the target.
CLASS_LOSSES = {"cross_entropy": (0, 1), "soft_cross_entropy": (0, 1)}
# The same without the softmax: the scores are log-probabilities already.
LOG_LOSSES = {"nll": (0, 1)}
# Losses of yes or no that contain a sigmoid.
LOGIT_LOSSES = {"binary_cross_entropy_with_logits": (0, 1)}
# What contains a softmax, and is no loss.
LOG_SOFTMAX = {"log_softmax": 0}

# Which numbers the target of a loss may hold: (operand of the target, smallest, largest), and
# for losses of signs only these two
TARGET_RANGES = {
    "binary_cross_entropy": (1, 0.0, 1.0),
    "binary_cross_entropy_with_logits": (1, 0.0, 1.0),
}
SIGN_TARGETS = {"hinge": 1, "logistic": 1}
