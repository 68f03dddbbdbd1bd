"""Tables of the schema core: players in the platforms' player markets, and their proposed identities."""

import sqlalchemy as sa
from sqlalchemy.orm import Mapped

from palimpsest_pipeline.domain.enums import Platform, PlayerEvidence, PlayerStatus

from .declarative_base import BigInt, CoreTable, Text, column, key


class PlayerList(CoreTable):
    """Versions of the list of players that a listing's markets name, by content.

    A change of squad is a new version.
    """

    __tablename__ = "player_lists"
    schema_items = (sa.Index(None, "external_player_id"),)

    # The key's column order serves the view that looks up a player's name by listing and outcome.
    listing_id: Mapped[int] = key("Listing.", foreign_key="ops.listing_ids.listing_id")
    external_player_id: Mapped[Text] = key("The platform's own id of the player: the outcome in its player markets.")
    name: Mapped[Text] = key("Name as the platform writes it. Several spellings have one row each.")
    team: Mapped[Text] = key("Team as the platform writes it; '' when it gives none.")
    list_hash: Mapped[BigInt] = key("Hash of the whole list's content.")


class PlayerListObservation(CoreTable):
    """One row per cycle and listing whose answers name players, with its player list."""

    __tablename__ = "player_list_observations"
    schema_items = (sa.Index(None, "listing_id", "list_hash"),)

    cycle_id: Mapped[BigInt] = key("Cycle.")
    listing_id: Mapped[int] = key("Listing.", foreign_key="ops.listing_ids.listing_id")
    list_hash: Mapped[BigInt] = column("Hash of the player list.")


class PlayerLink(CoreTable):
    """One row per fixture, platform and player, with the proposed SportRadar player.

    Computed from the fixture's listings each time.
    """

    __tablename__ = "player_links"
    schema_items = (
        sa.ForeignKeyConstraint(["fixture_sr_id"], ["core.fixtures.sr_id"], ondelete="CASCADE"),
        sa.Index(None, "platform", "external_player_id"),
    )

    fixture_sr_id: Mapped[BigInt] = key("Fixture.")
    platform: Mapped[Platform] = key("Platform.", foreign_key="ops.platforms.platform")
    external_player_id: Mapped[Text] = key("The platform's own id of the player.")
    player_name: Mapped[Text] = column("One spelling of the player's name on the platform.")
    sr_player_id: Mapped[BigInt | None] = column("SportRadar id of the player; null when none is proposed.")
    evidence: Mapped[PlayerEvidence | None] = column(
        "sportradar_id: the platform's own id; same_name: equal names; name_contained: a weaker proposal, because "
        "one name contains all words of the other; null when none is proposed."
    )
    status: Mapped[PlayerStatus] = column(
        "proposed; ambiguous: several players fit, none is chosen; none: no player fits."
    )
    n_candidates: Mapped[int] = column("SportRadar players of the fixture that fit by id or name.")
