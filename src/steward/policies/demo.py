"""A policy to show things with: when a refund is paid, refused, or looked at by a person."""

from __future__ import annotations

from typing import Final

import msgspec

_SCHEMA: Final = {
    "type": "object",
    "properties": {
        "amount_eur": {"type": "number", "minimum": 0},
        "prediction": {"type": "number", "minimum": 0, "maximum": 1},
        "segment": {"enum": ["gold", "silver", "new"]},
    },
    "required": ["amount_eur", "prediction", "segment"],
}
REFUNDS: Final = msgspec.json.encode(
    {
        "nodes": [
            {"id": "in", "type": "inputNode", "content": {"schema": msgspec.json.encode(_SCHEMA).decode()}},
            {
                "id": "limits",
                "type": "expressionNode",
                "name": "Limits",
                "content": {
                    "passThrough": True,
                    "expressions": [
                        {"id": "1", "key": "limit_eur", "value": "500"},
                        {"id": "2", "key": "risk", "value": "0.2"},
                    ],
                },
            },
            {
                "id": "refunds",
                "type": "decisionTableNode",
                "name": "Refunds",
                "content": {
                    "hitPolicy": "first",
                    "inputs": [
                        {"id": "a", "name": "Amount", "field": "amount_eur"},
                        {"id": "s", "name": "Segment", "field": "segment"},
                        {"id": "p", "name": "Fraud risk", "field": "prediction"},
                    ],
                    "outputs": [{"id": "c", "name": "Choice", "field": "choice"}],
                    "rules": [
                        {"_id": "small", "a": "<= 50", "p": "<= risk", "c": "'pay'"},
                        {"_id": "known", "a": "(50..limit_eur]", "s": "'gold', 'silver'", "p": "<= risk", "c": "'pay'"},
                        {"_id": "risky", "_description": "fraud is likely", "p": "> 0.8", "c": "'refuse'"},
                        {"_id": "rest", "c": "'review'"},
                    ],
                },
            },
            {"id": "out", "type": "outputNode"},
        ],
        "edges": [
            {"id": "e1", "sourceId": "in", "targetId": "limits"},
            {"id": "e2", "sourceId": "limits", "targetId": "refunds"},
            {"id": "e3", "sourceId": "refunds", "targetId": "out"},
        ],
    }
)
"""A policy of four rows and two limits, as JSON."""
