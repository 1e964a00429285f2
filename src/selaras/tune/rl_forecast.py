"""What RL will take on this machine in time: from its own counts, and speeds that are measured.

A step samples, reads every response (by the reference and by each reward model) and learns from it;
a look at queries kept aside samples and reads. Responses are taken to be as long as they may be, so
this is an upper bound where they end by themselves. Memory is `selaras.tune.rl_memory`.
"""

from dataclasses import asdict, dataclass
from typing import Any

from selaras.core.progress import SILENT, Progress
from selaras.core.project import Project
from selaras.evaluate import renderer
from selaras.models.local import open_local
from selaras.models.local_speed import measure_speed
from selaras.template import PLAIN
from selaras.tune.rl import Plan


@dataclass(frozen=True, slots=True)
class RLForecast:
    """Seconds at most: of a step, of a look, of the whole run."""

    step: float
    look: float
    looks: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as JSON values."""
        return {name: round(value, 1) for name, value in asdict(self).items()}

    @property
    def text(self) -> str:
        """The forecast in a line."""
        return (
            f"about {self.seconds:.0f} s at most: {self.step:.1f} s a step, and {self.looks} looks "
            f"of {self.look:.1f} s"
        )


def forecast_rl(project: Project, plan: Plan, progress: Progress = SILENT) -> RLForecast:
    """Return how long the plan takes at most, from a few seconds of reading and of sampling."""
    model = open_local(plan.base, chat_template=plan.start.chat_template)
    rl, render = plan.settings, renderer(project, PLAIN)
    rollouts = rl.queries * rl.samples
    speed = measure_speed(model, rollouts)
    progress.say("measured some reading and sampling")
    asked = plan.queries.watched
    prompt = sum(len(model.chat.prompt_ids(render(row))) for row in asked) / len(asked)
    rewards = 1 + (rl.held_aside_reward is not None)

    def sampled(responses: int) -> float:
        return responses * (rl.max_tokens / speed.generated + prompt / speed.read)

    def read(responses: int, times: int) -> float:
        return times * responses * (prompt + rl.max_tokens) / speed.read

    # The prompt of a query is read once for all responses to it.
    learnt = (rl.queries * prompt + rollouts * rl.max_tokens) / speed.trained
    step = sampled(rollouts) + read(rollouts, 2) + learnt
    look = sampled(len(asked)) + read(len(asked), 2 + rewards)
    looks = 2 + (rl.steps - 1) // rl.watch_every
    return RLForecast(step, look, looks, rl.steps * step + looks * look)
