"""The resource that gives a run its pipeline."""

import dagster as dg
import pytest

from palimpsest_pipeline.defs.resources import PipelineResource
from palimpsest_pipeline.pipeline.context import Pipeline
from palimpsest_pipeline.pipeline.ingest.book_reader import BookReader
from palimpsest_pipeline_tests.fixtures.pipeline import MakePipeline


def test_a_run_that_fails_reads_nothing_more(make_pipeline: MakePipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in make_pipeline().settings.to_environment().items():
        monkeypatch.setenv(name, value)
    dropped: list[BookReader] = []

    def drop_all(reader: BookReader) -> None:
        dropped.append(reader)

    monkeypatch.setattr(BookReader, "drop_all", drop_all)

    @dg.op
    def fail(pipeline: dg.ResourceParam[Pipeline]) -> None:
        raise RuntimeError(f"a defect, {len(pipeline.platforms)} platforms")

    @dg.job(resource_defs={"pipeline": PipelineResource()})
    def failing() -> None:
        fail()

    with dg.DagsterInstance.ephemeral() as instance:
        result = failing.execute_in_process(instance=instance, raise_on_error=False)
    assert (result.success, len(dropped)) == (False, 1)
