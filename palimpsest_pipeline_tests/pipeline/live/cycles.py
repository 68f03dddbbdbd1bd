"""The results of a cycle, read from the landing and from the ledger."""

from palimpsest_pipeline.domain.enums import PayloadKind
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.cycle_frames import read_discoveries
from palimpsest_pipeline.scrape import build_targets


def list_answered_listings(pipeline: Pipeline) -> set[tuple[str, str]]:
    """Return the listings with a landed good answer, as platform and external id."""
    (manifest,) = pipeline.landing.list_cycles()
    answers = pipeline.landing.read_answers(
        manifest, kinds=[PayloadKind.DETAIL], columns=["platform", "external_id", "failure"]
    )
    return {(platform, external_id) for platform, external_id, failure in answers.iter_rows() if failure is None}


def list_target_listings(pipeline: Pipeline) -> set[tuple[str, str]]:
    """Return the listings that the cycle's discovery makes targets of."""
    (manifest,) = pipeline.landing.list_cycles()
    discoveries = read_discoveries(pipeline, manifest, pipeline.platforms)
    wanted = build_targets(
        [x for each, _ in discoveries.values() for x in each.listings],
        pipeline.platforms,
        pipeline.settings.home_platform,
        pipeline.clock.now(),
    )
    return {
        (platform, external_id) for target in wanted for platform, ids in target.listings.items() for external_id in ids
    }


def read_statuses(pipeline: Pipeline) -> dict[tuple[str, str], str]:
    """Return the status of each listing in the ledger."""
    with pipeline.connect() as conn:
        return {
            (p, external_id): s
            for p, external_id, s in conn.execute("select platform, external_id, status from ops.event_scrape_status")
        }
