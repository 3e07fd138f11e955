"""README of an exported guard: what lies in the folder, and how it is used."""

from trust_core.deploy.policy import FITTED, GOLDEN, POLICY, Policy
from trust_core.messages import threshold_text

README_TEXT = """# A guard for the line

Called defective: {rule}. A part that is called good is re-inspected when its {indicator}{strength}
reaches {threshold}.

{sentence}

```
python -m trust_core guard check .                           # is this still what was exported?
python -m trust_core guard run . IMAGES --out decisions.csv  # new images, without labels
python -m trust_core guard serve .                           # http://127.0.0.1:8000/docs
```

```python
from trust_core import Guard

guard = Guard.load(".")
for part in guard.inspect(["part.png"]):
    print(part.decision, part.p_defect, part.indicator, part.reason)
```

| file | content |
|---|---|
| `{POLICY}` | what decides |
| `{weights}` | the network |
| `{FITTED}` | what the indicator was fitted to, where it was |
| `{GOLDEN}` | parts with the numbers that they have to give |
| `SHA256SUMS` | read by `sha256sum --check` too |

A folder that is not as it was exported is refused.

Model {policy.model_sha256}
Audit {policy.audit_sha256}
"""


def readme(policy: Policy) -> str:
    """What lies in the folder, and how it is used."""
    threshold = policy.decision.threshold
    return README_TEXT.format(
        rule="the largest output" if threshold is None else f"p >= {threshold:g}",
        indicator=policy.indicator_name,
        strength=f" at strength {policy.strength:g}" if policy.strengths else "",
        threshold=threshold_text(policy.threshold),
        sentence=policy.certificate["sentence"],
        weights=policy.weights,
        policy=policy,
        POLICY=POLICY,
        FITTED=FITTED,
        GOLDEN=GOLDEN,
    )
