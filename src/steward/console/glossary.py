"""The words that a newcomer meets in the console, each explained in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

GLOSSARY: Final[Mapping[str, str]] = {
    "decision": "A business choice made again and again, declared once: what it knows, how it chooses, who must agree.",
    "release": "One exact version of a decision, with its policy, models and features. Every record names its own.",
    "confidence": "How probable the model holds its own answer to be right.",
    "interval": "Bounds between which the true value lies with the stated probability.",
    "calibration": "What is promised is held against what really happened, so that 90 % sure is right 9 times in 10.",
    "coverage": "The share of intervals, or sets of labels, that held what really happened.",
    "abstention": "The model cannot tell one label with the promised sureness, so it names several, or none.",
    "attribution": "How much each input moved the model's answer, up or down.",
    "policy": "The rule that turns the model's answer into a choice, with its reasons.",
    "gate": "The point at which a person must agree before anything is done.",
    "evidence": "The fingerprint of exactly what was shown. An answer names it, so any change makes the answer void.",
    "baseline": "What would have been earned without Steward's decision: what the saving is measured against.",
    "saving": "What a decision earned beyond its baseline.",
    "otherwise": "What is done if people refuse, or nobody answers in time: the safe choice.",
    "ledger": "The log of everything that happened. It can only be added to, and any change in it is found.",
    "checkpoint": "The signed fingerprint of the whole ledger. Kept elsewhere, it proves that nothing was changed.",
    "proof": "The short list of fingerprints that shows that one entry is part of the signed ledger.",
    "four eyes": "Whoever proposed or changed something cannot be the one who approves it.",
    "override": "A person decided otherwise than was proposed.",
    "outcome": "What really happened after a decision.",
    "action": "What is done to the world once a choice is made.",
    "in doubt": "It is not known whether an action took effect; its state is read back before it is tried again.",
    "holdout": "A share of the cases in which nothing is automated, to measure honestly what automation is worth.",
}
"""By word, in lower case."""
