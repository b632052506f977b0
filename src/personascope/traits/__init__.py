"""The trait catalogue: one YAML file a trait, and the same for a trait of the user's own."""

from personascope.traits.catalogue import catalogue_names, load_trait, trait_file
from personascope.traits.rules import problems
from personascope.traits.trait import InstructionPair, MatchedReplies, Pole, Trait

__all__ = [
    "InstructionPair",
    "MatchedReplies",
    "Pole",
    "Trait",
    "catalogue_names",
    "load_trait",
    "problems",
    "trait_file",
]
