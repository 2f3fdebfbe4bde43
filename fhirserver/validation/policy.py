"""What becomes of resources that do not conform to a profile they claim or their type requires."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Stance = Literal["off", "warn", "refuse"]
ANY = "*"


@dataclass(frozen=True, slots=True)
class Policy:
    """``stances`` by resource type, ``*`` for the others; ``required``: canonical urls by resource type."""

    stances: Mapping[str, Stance] = field(default_factory=dict)
    required: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def stance(self, type: str) -> Stance:
        return self.stances.get(type) or self.stances.get(ANY) or "refuse"
