"""Players of the player markets, and who each is proposed to be."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

EVIDENCE = ("sportradar_id", "same_name", "name_contained")
PLATFORM = ("betpawa", "sportybet", "bet9ja")
STATUS = ("proposed", "ambiguous", "none")


def upgrade() -> None:
    _player_lists()
    _player_list_observations()
    _player_links()
    # What stands was derived without players: a replay must not find it up to date.
    op.execute("delete from core.cycle_products where product in ('odds_snapshots', 'matched_events')")


def downgrade() -> None:
    op.drop_table("player_links", schema="core")
    op.drop_table("player_list_observations", schema="core")
    op.drop_table("player_lists", schema="core")


def one_of(name: str, words: tuple[str, ...]) -> sa.Enum:
    """Text restricted to these words by a check constraint."""
    return sa.Enum(*words, name=name, native_enum=False, create_constraint=True, length=24)


def _listing() -> sa.Column[int]:
    return sa.Column("listing_id", sa.Integer, nullable=False, autoincrement=False, comment="Listing.")


def _to_listing_ids(name: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["listing_id"], ["ops.listing_ids.listing_id"], name=op.f(name))


def _player_lists() -> None:
    op.create_table(
        "player_lists",
        _listing(),
        sa.Column(
            "external_player_id",
            sa.Text,
            nullable=False,
            comment="The platform's own id of the player: the outcome in its player markets.",
        ),
        sa.Column(
            "name",
            sa.Text,
            nullable=False,
            comment="Name as the platform writes it; several spellings have a row each.",
        ),
        sa.Column("team", sa.Text, nullable=False, comment="Team as the platform writes it; '' when it does not."),
        sa.Column(
            "list_hash", sa.BigInteger, nullable=False, autoincrement=False, comment="Hash of the whole list's content."
        ),
        _to_listing_ids("fk_player_lists_listing_id"),
        sa.PrimaryKeyConstraint(
            "listing_id", "external_player_id", "name", "team", "list_hash", name=op.f("pk_player_lists")
        ),
        schema="core",
        comment="Versions of the players that a listing's markets name, by content: a change of squad is a new version.",
    )
    op.create_index(
        op.f("ix_player_lists_external_player_id"), "player_lists", ["external_player_id"], unique=False, schema="core"
    )


def _player_list_observations() -> None:
    op.create_table(
        "player_list_observations",
        sa.Column("cycle_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Cycle."),
        _listing(),
        sa.Column("list_hash", sa.BigInteger, nullable=False, comment="The list."),
        _to_listing_ids("fk_player_list_observations_listing_id"),
        sa.PrimaryKeyConstraint("cycle_id", "listing_id", name=op.f("pk_player_list_observations")),
        schema="core",
        comment="One row per cycle and listing whose answers name players, with the list they made.",
    )
    op.create_index(
        op.f("ix_player_list_observations_listing_id_list_hash"),
        "player_list_observations",
        ["listing_id", "list_hash"],
        unique=False,
        schema="core",
    )


def _player_links() -> None:
    op.create_table(
        "player_links",
        sa.Column("fixture_sr_id", sa.BigInteger, nullable=False, autoincrement=False, comment="Fixture."),
        sa.Column("platform", one_of("platform", PLATFORM), nullable=False, comment="Platform."),
        sa.Column("external_player_id", sa.Text, nullable=False, comment="The platform's own id of the player."),
        sa.Column("player_name", sa.Text, nullable=False, comment="One name of his, as the platform writes it."),
        sa.Column(
            "sr_player_id",
            sa.BigInteger,
            nullable=True,
            comment="SportRadar id of the player; null when none is proposed.",
        ),
        sa.Column(
            "evidence",
            one_of("playerevidence", EVIDENCE),
            nullable=True,
            comment="sportradar_id: the platform's own id; same_name: equal names; name_contained: a weaker proposal, all words of one name are in "
            "the other; null when none is proposed.",
        ),
        sa.Column(
            "status",
            one_of("playerstatus", STATUS),
            nullable=False,
            comment="proposed; ambiguous: several fit, none is chosen; none: nobody fits.",
        ),
        sa.Column(
            "n_candidates",
            sa.Integer,
            nullable=False,
            comment="SportRadar players of the fixture that fit by id or name.",
        ),
        sa.ForeignKeyConstraint(
            ["fixture_sr_id"], ["core.fixtures.sr_id"], name=op.f("fk_player_links_fixture_sr_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("fixture_sr_id", "platform", "external_player_id", name=op.f("pk_player_links")),
        schema="core",
        comment="One row per fixture, platform and player: who he is proposed to be, derived anew from the fixture's listings each time.",
    )
    op.create_index(
        op.f("ix_player_links_platform_external_player_id"),
        "player_links",
        ["platform", "external_player_id"],
        unique=False,
        schema="core",
    )
