"""Prompt templates improved from feedback, behind gates, proven on held-out rows."""

# What an edit of a template is held against before anything is called, in this order: name to a
# function `Edit -> Objection | None` (see selaras.prompt.gates).
GATES: dict[str, str] = {
    "placeholders": "selaras.prompt.gates:placeholders",
    "frozen": "selaras.prompt.gates:frozen",
    "roles": "selaras.prompt.gates:roles",
    "output": "selaras.prompt.gates:output",
    "length": "selaras.prompt.gates:length",
    "principles": "selaras.prompt.gates:principles",
    "copies": "selaras.prompt.gates:copies",
    "lifted": "selaras.prompt.gates:lifted",
    "coverage": "selaras.prompt.gates:coverage",
}

# What `selaras prompt lint` looks for: name to a function `Linted -> Iterator[Remark]`.
LINTS: dict[str, str] = {
    "unused-variable": "selaras.prompt.lint_structure:unused_variable",
    "undeclared-variable": "selaras.prompt.lint_structure:undeclared_variable",
    "no-input": "selaras.prompt.lint_structure:no_place_for_input",
    "single-braces": "selaras.prompt.lint_structure:single_braces",
    "instructions-after-data": "selaras.prompt.lint_structure:instructions_after_data",
    "data-in-system": "selaras.prompt.lint_structure:data_among_instructions",
    "control-words": "selaras.prompt.lint_structure:control_words",
    "secret": "selaras.prompt.lint_structure:secrets",
    "few-shot": "selaras.prompt.lint_structure:few_shot",
    "raw-ending": "selaras.prompt.lint_structure:raw_ending",
    "ambiguity": "selaras.prompt.lint_words:ambiguity",
    "no-output-form": "selaras.prompt.lint_words:no_output_form",
    "contradiction": "selaras.prompt.lint_words:contradictions",
    "only-prohibitions": "selaras.prompt.lint_words:only_prohibitions",
    "refuses-widely": "selaras.prompt.lint_words:refuses_widely",
    "shouting": "selaras.prompt.lint_words:shouting",
    "override-words": "selaras.prompt.lint_words:override_words",
    "length": "selaras.prompt.lint_words:too_long",
    "policy-unsaid": "selaras.prompt.lint_words:policy_unsaid",
    "measured": "selaras.prompt.lint_findings:measured",
}

# What `selaras prompt import` reads: name to a function `(text, path) -> Imported`.
IMPORTERS: dict[str, str] = {
    "prompty": "selaras.prompt.importers:read_prompty",
    "promptfoo": "selaras.prompt.importers:read_promptfoo",
    "text": "selaras.prompt.importers:read_text_template",
}

# How few-shot examples are chosen: name to a function `Pool -> rows in order`.
SELECTORS: dict[str, str] = {
    "policy": "selaras.prompt.examples:by_policy",
    "similarity": "selaras.prompt.examples:by_similarity",
    "diversity": "selaras.prompt.examples:by_diversity",
}

# How `selaras prompt optimize` searches: name to a function
# `(seed, rollouts, rows, proposers, settings, progress)` -> SearchResult.
SEARCHES: dict[str, str] = {
    "greedy": "selaras.prompt.search:greedy_search",
    "gepa": "selaras.prompt.gepa_search:gepa_search",
}

# What a search changes, in turn: name to a maker `(Workshop) -> Proposer`. The first one needs
# findings; examples come before what a model has to be asked for.
PROPOSERS: dict[str, str] = {
    "findings": "selaras.prompt.proposals:finding_proposer",
    "few-shot": "selaras.prompt.proposals:few_shot_proposer",
    "principles": "selaras.prompt.proposals:principle_proposer",
    "instructions": "selaras.prompt.proposals:instruction_proposer",
}

# How `selaras prompt improve` makes a change of feedback: name to a function
# `(editor, template, feedback, row, policies, rows)` -> Proposed.
METHODS: dict[str, str] = {
    "principles": "selaras.prompt.principles:improve_by_principle",
    "rewrite": "selaras.prompt.rewrite:improve_by_rewrite",
}

__all__ = ["GATES", "IMPORTERS", "LINTS", "METHODS", "PROPOSERS", "SEARCHES", "SELECTORS"]
