"""The tables of the rating store, and the steps from each version of them to the next.

Votes are appended and never changed: triggers refuse it, in SQLite and in PostgreSQL, save for a
rater who asked to be forgotten. Raters' backgrounds stand in a table of their own, tokens only as
hashes. `needs` counts the places of an item that are neither voted on nor being looked at, by group
of raters; it and `items.votes` follow from the votes and the leases, and are kept for speed.
"""

from collections.abc import Callable, Mapping

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

VERSION = 2
tables = MetaData()

# One row: the version of the schema.
meta = Table(
    "meta",
    tables,
    Column("name", String(40), primary_key=True),
    Column("value", String(200), nullable=False),
)

batches = Table(
    "batches",
    tables,
    Column("id", String(128), primary_key=True),
    Column("spec", JSON, nullable=False),
    Column("status", String(10), nullable=False),  # draft, open, closed
    Column("crowd_hash", String(64), unique=True),
    Column("created", String(20), nullable=False),
)

items = Table(
    "items",
    tables,
    Column("id", Integer, primary_key=True),
    Column("batch", ForeignKey("batches.id"), nullable=False),
    Column("key", String(500), nullable=False),
    Column("content", JSON, nullable=False),
    Column("policies", String(500), nullable=False),  # joined by spaces, in the item's order
    Column("golden", Boolean, nullable=False),
    Column("gold", JSON(none_as_null=True)),  # {"accepted": [...], "why": "..."}
    Column("position", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("votes", Integer, nullable=False),
    UniqueConstraint("batch", "key"),
)
Index("items_by_policies", items.c.batch, items.c.policies)
Index("items_golden", items.c.batch, items.c.golden)

needs = Table(
    "needs",
    tables,
    Column("item", ForeignKey("items.id"), primary_key=True),
    Column("grp", String(100), primary_key=True),
    Column("batch", String(128), nullable=False),
    Column("position", Integer, nullable=False),
    Column("round", Integer, nullable=False),
    Column("remaining", Integer, nullable=False),
)
Index(
    "needs_open",
    needs.c.batch,
    needs.c.grp,
    needs.c.position,
    sqlite_where=needs.c.remaining > 0,
    postgresql_where=needs.c.remaining > 0,
)

instructions = Table(
    "instructions",
    tables,
    Column("id", Integer, primary_key=True),
    Column("policies", String(500), nullable=False),
    Column("version", String(16), nullable=False),
    Column("text", JSON, nullable=False),
    Column("revisions", JSON, nullable=False),
    Column("at", String(20), nullable=False),
)
Index("instructions_newest", instructions.c.policies, instructions.c.id)

raters = Table(
    "raters",
    tables,
    Column("id", Integer, primary_key=True),
    Column("pseudonym", String(100), nullable=False, unique=True),
    Column("token_hash", String(64), unique=True),
    Column("external", String(200)),  # the crowd platform's id
    Column("language", String(5), nullable=False),
    Column("created", String(20), nullable=False),
    Column("forgotten", String(20)),
)
Index("raters_external", raters.c.external)

backgrounds = Table(
    "backgrounds",
    tables,
    Column("rater", ForeignKey("raters.id"), primary_key=True),
    Column("field", String(100), primary_key=True),
    Column("value", String(200), nullable=False),
    Column("consented", String(20), nullable=False),
)

memberships = Table(
    "memberships",
    tables,
    Column("rater", ForeignKey("raters.id"), primary_key=True),
    Column("batch", ForeignKey("batches.id"), primary_key=True),
    Column("status", String(12), nullable=False),  # qualifying, active, refused
    Column("code", String(100), nullable=False),
    Column("cursor", Integer, nullable=False),
    Column("given", Integer, nullable=False),
    Column("warned", Boolean, nullable=False),
    Column("began", Float, nullable=False),  # of the stretch without a break, seconds since 1970
    Column("seen", Float, nullable=False),
    Column("joined", String(20), nullable=False),
)

sessions = Table(
    "sessions",
    tables,
    Column("token_hash", String(64), primary_key=True),
    Column("rater", ForeignKey("raters.id")),  # null: the lead's
    Column("expires", Float, nullable=False),
)

leases = Table(
    "leases",
    tables,
    Column("rater", Integer, primary_key=True),
    Column("batch", String(128), primary_key=True),
    Column("item", Integer, nullable=False),
    Column("grp", String(100)),  # null where no place is taken: gold, repeats
    Column("purpose", String(14), nullable=False),
    Column("shown", Float, nullable=False),
    Column("until", Float, nullable=False),
)
Index("leases_until", leases.c.until)

votes = Table(
    "votes",
    tables,
    Column("id", Integer, primary_key=True),
    Column("submission", String(64), nullable=False, unique=True),
    Column("batch", String(128), nullable=False),
    Column("item", ForeignKey("items.id"), nullable=False),
    Column("rater", ForeignKey("raters.id"), nullable=False),
    Column("round", Integer, nullable=False),
    Column("purpose", String(14), nullable=False),  # work, repeat, gold, qualification
    Column("grp", String(100)),  # the group whose place it took; null where it took none
    Column("number", Integer, nullable=False),  # the last of an item, rater, round, purpose holds
    Column("value", String(20), nullable=False),  # or skipped, withdrawn
    Column("flags", JSON, nullable=False),
    Column("note", Text, nullable=False),
    Column("edited", Text),
    Column("shown_order", String(2), nullable=False),
    Column("instructions", String(16), nullable=False),
    Column("seconds", Float, nullable=False),  # between showing and answer, by the server's clock
    Column("active_seconds", Float),  # of these with the page in front, as the browser says
    Column("at", Float, nullable=False),
    UniqueConstraint("item", "rater", "round", "purpose", "number"),
)
Index("votes_of_rater", votes.c.rater, votes.c.batch, votes.c.id)
Index("votes_of_batch", votes.c.batch)

drafts = Table(
    "drafts",
    tables,
    Column("rater", Integer, primary_key=True),
    Column("item", Integer, primary_key=True),
    Column("answer", JSON, nullable=False),
)

adjudications = Table(
    "adjudications",
    tables,
    Column("id", Integer, primary_key=True),
    Column("batch", String(128), nullable=False),
    Column("item", ForeignKey("items.id"), nullable=False),
    Column("round", Integer, nullable=False),
    Column("value", String(20), nullable=False),
    Column("cause", String(20), nullable=False),
    Column("why", Text, nullable=False),
    Column("by", String(100), nullable=False),
    Column(
        "example", JSON(none_as_null=True)
    ),  # {"policy", "side", "text"}: proposed to the policy
    Column("at", String(20), nullable=False),
)
Index("adjudications_of_batch", adjudications.c.batch)


def create(connection: Connection) -> None:
    """Make the tables and triggers of the present version in an empty database."""
    tables.create_all(connection)
    _append_only(connection)
    connection.execute(meta.insert().values(name="schema_version", value=str(VERSION)))


def _append_only(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        forgotten = "(SELECT forgotten FROM raters WHERE id = OLD.rater) IS NULL"
        for verb in ("UPDATE", "DELETE"):
            connection.execute(text(
                f"CREATE TRIGGER votes_no_{verb.lower()} BEFORE {verb} ON votes WHEN {forgotten} "
                "BEGIN SELECT RAISE(ABORT, 'votes are append-only'); END"
            ))  # fmt: skip
        return
    connection.execute(text(
        "CREATE FUNCTION votes_append_only() RETURNS trigger AS $$ BEGIN "
        "IF (SELECT forgotten FROM raters WHERE id = OLD.rater) IS NULL THEN "
        "RAISE EXCEPTION 'votes are append-only'; END IF; "
        "IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; RETURN NEW; END $$ LANGUAGE plpgsql"
    ))  # fmt: skip
    connection.execute(text(
        "CREATE TRIGGER votes_append_only BEFORE UPDATE OR DELETE ON votes "
        "FOR EACH ROW EXECUTE FUNCTION votes_append_only()"
    ))  # fmt: skip


def _to_2(connection: Connection) -> None:
    """Version 1 knew neither the browser's active seconds nor proposals to a policy."""
    connection.execute(text("ALTER TABLE votes ADD COLUMN active_seconds FLOAT"))
    connection.execute(text("ALTER TABLE adjudications ADD COLUMN example JSON"))


# Each step takes a database from the version before to its own.
STEPS: Mapping[int, Callable[[Connection], None]] = {2: _to_2}


def upgrade(connection: Connection, found: int) -> None:
    """Take a database from the version found to the present one, step by step."""
    for version in range(found + 1, VERSION + 1):
        STEPS[version](connection)
    connection.execute(
        meta.update().where(meta.c.name == "schema_version").values(value=str(VERSION))
    )
