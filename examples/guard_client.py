"""The official OpenAI client before a guarded application: what is blocked, and how it looks.

python examples/guard_client.py
"""

import socket
import threading

import openai
import uvicorn
from starlette.responses import JSONResponse

from selaras.safeguard import Guard
from selaras.safeguard.middleware import GuardMiddleware
from selaras.safeguard.rules import Rules, rule


async def app(scope, receive, send):
    asked = (await receive())["body"]
    said = {
        "role": "assistant",
        "content": "In 1934." if b"When" in asked else "The butler did it!",
    }
    answer = {"choices": [{"index": 0, "message": said, "finish_reason": "stop"}]}
    await JSONResponse(answer)(scope, receive, send)


guard = Guard("books", (Rules((rule("spoilers", "the butler did it"),)),))
guarded = GuardMiddleware(app, guard)
door = socket.create_server(("127.0.0.1", 0))
server = uvicorn.Server(uvicorn.Config(guarded, log_config=None, lifespan="off"))
threading.Thread(target=server.run, args=([door],), daemon=True).start()
base_url = f"http://127.0.0.1:{door.getsockname()[1]}/v1"
with openai.OpenAI(api_key="none", base_url=base_url) as client:
    for question in ("When was it written?", "Who was it?", "So the b-u-t-l-e-r did it?"):
        talk = [{"role": "user", "content": question}]
        answer = client.chat.completions.create(model="any", messages=talk)
        print(f"{question} -> {answer.choices[0].message.content}")
        print(f"   {answer.choices[0].finish_reason} {getattr(answer, 'selaras', '')}")
