"""Selaras: from a written content policy to evidence that the product keeps it.

The stages are subpackages, in the order of the work: policy, data, template, models, judge,
tune, evaluate, report. `selaras.recipe` is the whole loop in one readable function.
"""

__version__ = "0.1.0"
