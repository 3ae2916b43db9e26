"""A corpus of changes to the evidence of one finished run, each with the answer that it must get.

What loses, doubles, contradicts or mixes evidence must be refused or invalid. What no evidence can contradict
(a latency a little larger, another text) must not give a better verdict than the run's own. What changes no
meaning (the order of lines and keys, blanks) must change nothing.
"""

from measurement.mutations.corpus import Answer, Mutant, Source, mutants

__all__ = ["Answer", "Mutant", "Source", "mutants"]
