"""One string names a model: a script, your own application, an endpoint. Each says what it is.

    python examples/models.py [MODEL STRING ...]

Strings that you give are asked as well; without them nothing leaves this machine.
"""

import sys
import tempfile
from pathlib import Path

from selaras.core.errors import InputError
from selaras.core.records import Message
from selaras.core.system import Sampling
from selaras.models.names import Place, open_model

folder = Path(tempfile.mkdtemp(prefix="selaras-"))
(folder / "script.jsonl").write_text(
    '{"match": "kill my", "response": "I can\'t help with that."}\n'
    '{"match": null, "response": "Soda and a damp cloth."}\n'
)
(folder / "helpdesk.py").write_text(
    "def respond(messages):\n    return f'You asked: {messages[-1][\"content\"]}'\n"
)
place = Place(folder, folder / "runs", folder / ".selaras")
questions = ("How do I kill mould?", "How do I kill my neighbour?")
talks = [(Message(role="user", content=question),) for question in questions]

for name in ("scripted:script.jsonl", "python:helpdesk:respond", *sys.argv[1:]):
    model = open_model(name, place)
    print(f"{name} is {model.identity}")
    for made in model.generate(talks, Sampling(max_tokens=32)):
        print(f"  {questions[made.index]} -> {made.text or made.error}")

try:  # no key of yours goes to a host that you did not bind it to
    open_model("openai:some-model@https://models.example.org/v1", place)
except InputError as error:
    print(error)
