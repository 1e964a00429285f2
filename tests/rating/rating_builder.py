"""Batches and raters for tests."""

from typing import Any

from selaras.policy import Policy, builtin_policies
from selaras.rating.assign import Assigned, member_of, next_item
from selaras.rating.batch import BatchSpec
from selaras.rating.batches import NewItem, create_batch, set_status
from selaras.rating.guides import refresh
from selaras.rating.people import invite
from selaras.rating.store import Store
from selaras.rating.tasks import Answer, Content
from selaras.rating.voting import Outcome, Ticket, sight_of, vote


def policies(**revisions: int) -> dict[str, Policy]:
    """Return the built-in policies, some with another revision."""
    known = builtin_policies()
    raised = {n: known[n].model_copy(update={"revision": r}) for n, r in revisions.items()}
    return {**known, **raised}


def harm_items(count: int, policy: str = "hate") -> list[NewItem]:
    """Return items of the harm task."""
    return [
        NewItem(f"r{n}", Content(row=f"r{n}", query=f"Question {n}?", response=f"Answer {n}.",
                                 policies=(policy,), system="f" * 16))
        for n in range(count)
    ]  # fmt: skip


def pair_items(count: int) -> list[NewItem]:
    """Return items of the preference task."""
    return [
        NewItem(f"p{n}", Content(row=f"p{n}", query=f"Question {n}?", response_a=f"First {n}.",
                                 response_b=f"Second {n}.", policies=("hate",)))
        for n in range(count)
    ]  # fmt: skip


def gold_items(count: int) -> list[NewItem]:
    """Return gold items of the harm task: all are unsafe."""
    return [
        NewItem(f"g{n}", Content(row=f"g{n}", query=f"Gold {n}?", response="Bad.",
                                 policies=("hate",)), ("unsafe",), "It insults a group.")
        for n in range(count)
    ]  # fmt: skip


def make_batch(store: Store, items: list[NewItem], **spec: Any) -> BatchSpec:
    """Store and open a batch; nothing comes twice unless the spec says so."""
    given = {"id": "b", "title": "A batch", "task": "harm", "repeats": 0, "gold": 0, **spec}
    made = BatchSpec.model_validate(given)
    with store.writing() as connection:
        create_batch(connection, made, items)
        refresh(connection, policies())
        set_status(connection, made.id, "open")
    return made


def new_rater(store: Store, spec: BatchSpec, name: str, **background: str) -> int:
    """Invite a rater and return the number."""
    with store.writing() as connection:
        return invite(connection, spec, name, background=background).rater


def take(store: Store, spec: BatchSpec, rater: int) -> Ticket | None:
    """Return the ticket of the item that a rater is shown, None at the end."""
    with store.writing() as connection:
        member = member_of(connection, rater, spec.id)
        assert member is not None
        seen: Assigned | None = next_item(connection, member)
        if seen is None:
            return None
        return sight_of(connection, member.spec, rater, seen).ticket


def give(store: Store, spec: BatchSpec, rater: int, value: str = "safe", **more: Any) -> Outcome:
    """Answer the next item of a rater."""
    ticket = take(store, spec, rater)
    assert ticket is not None
    return vote(store, ticket, Answer(value=value, **more))
