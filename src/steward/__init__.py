"""Steward, an AI operating system for business decisions.

Declare a decision as one frozen value; Steward runs it from event to value and keeps one provable ledger.
"""

from steward.decision.action import Action, Call, Destination
from steward.decision.calibration import Calibration
from steward.decision.canary import Canary
from steward.decision.choice import Choice
from steward.decision.contract import Contract, Event
from steward.decision.decision import Decision
from steward.decision.economics import Economics
from steward.decision.fallback import Fallback
from steward.decision.feature import Feature, Features, days, hours, minutes, seconds
from steward.decision.gate import Checks, Gate, impact_above
from steward.decision.guardrail import Guardrail
from steward.decision.lane import Lane
from steward.decision.model import Attribution, Model, Models, Pipeline, Skill
from steward.decision.placement import Placement
from steward.decision.risk import Risk
from steward.decision.rules import Rules
from steward.decision.schedule import Every, Missed
from steward.decision.steps import Check, Signal, Steps, Wait
from steward.decision.stream import Stream
from steward.records import CalibrationFacts, Interval, Money, Prediction, Receipt, Record, Status

__all__ = [
    "Action",
    "Attribution",
    "Calibration",
    "CalibrationFacts",
    "Call",
    "Canary",
    "Check",
    "Checks",
    "Choice",
    "Contract",
    "Decision",
    "Destination",
    "Economics",
    "Event",
    "Every",
    "Fallback",
    "Feature",
    "Features",
    "Gate",
    "Guardrail",
    "Interval",
    "Lane",
    "Missed",
    "Model",
    "Models",
    "Money",
    "Pipeline",
    "Placement",
    "Prediction",
    "Receipt",
    "Record",
    "Risk",
    "Rules",
    "Signal",
    "Skill",
    "Status",
    "Steps",
    "Stream",
    "Wait",
    "days",
    "hours",
    "impact_above",
    "minutes",
    "seconds",
]
__version__ = "0.1.0"
