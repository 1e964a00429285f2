"""The proxy before a real model's server: a stream as it arrives, and a block in mid-answer.

python examples/guard_proxy.py [http://127.0.0.1:8088/v1]     any OpenAI-compatible server
"""

import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import openai
import uvicorn
from starlette.responses import StreamingResponse

from selaras.safeguard import Guard
from selaras.safeguard.proxy import proxy
from selaras.safeguard.routes import RouteSpec, ServeSpec, open_paths
from selaras.safeguard.rules import Rules, rule
from selaras.safeguard.sse import event


def listen(app):
    door = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    threading.Thread(target=server.run, args=([door],), daemon=True).start()
    return f"http://127.0.0.1:{door.getsockname()[1]}/v1"


parts = [event({"choices": [{"delta": {"content": f"{n}, "}}]}) for n in range(1, 100)]
counting = StreamingResponse(iter(parts), media_type="text/event-stream")  # where none is given
guard = Guard("small numbers", (Rules((rule("too-high", r"\b47\b"),)),))
upstream = sys.argv[1] if sys.argv[1:] else listen(counting)
spec = ServeSpec(routes=(RouteSpec(upstream=upstream),))
served = listen(proxy(open_paths(spec, lambda _: guard, ThreadPoolExecutor(4))))
talk = [{"role": "user", "content": "Print the numbers 1 to 60 on one line, with commas."}]
with openai.OpenAI(api_key="none", base_url=served) as client:
    for part in client.chat.completions.create(model="any", messages=talk, stream=True):
        print(repr(part.choices[0].delta.content), part.choices[0].finish_reason or "")
