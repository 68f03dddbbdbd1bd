"""News about derived fixtures: nothing is lost between two tokens, and what is not known is said so."""

import asyncio

import pytest

from palimpsest_pipeline.board.news_feed import MAX_KEPT_NEWS, NewsFeed
from palimpsest_pipeline.storage.marts.changed_fixtures import ANY_FIXTURE, parse_payload


async def test_a_page_gets_everything_since_its_token():
    feed = NewsFeed()
    token = feed.token
    await feed.publish({1, 2})
    await feed.publish({3})
    assert feed.collect_since(token) == {1, 2, 3}
    assert feed.collect_since(feed.token) == frozenset()


async def test_what_is_not_known_any_more_is_everything():
    feed = NewsFeed()
    token = feed.token
    for number in range(MAX_KEPT_NEWS + 1):
        await feed.publish({number})
    assert feed.collect_since(token) is None
    assert NewsFeed().collect_since(feed.token) is None
    for foreign in ("", "x", "x.1", f"{feed.token}0000", f"{feed.token.split('.')[0]}.-1"):
        assert feed.collect_since(foreign) is None


async def test_after_a_lost_connection_everything_may_have_changed():
    feed = NewsFeed()
    token = feed.token
    await feed.publish({1})
    await feed.publish(None)
    assert feed.collect_since(token) is None


async def test_a_stream_yields_news_as_they_come_and_ends_with_the_feed():
    feed = NewsFeed()
    stream = feed.stream(feed.token)
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    await feed.publish({5})
    assert (await asyncio.wait_for(waiting, 5)) == (feed.token, frozenset({5}))
    await feed.publish({6})
    await feed.publish({7})
    assert (await asyncio.wait_for(anext(stream), 5)) == (feed.token, frozenset({6, 7}))
    waiting = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    await feed.close()
    with pytest.raises(StopAsyncIteration):
        await asyncio.wait_for(waiting, 5)


def test_a_strange_payload_names_no_fixture():
    assert parse_payload("1,2,x,,-3,٤") == {1, 2}


def test_news_of_any_fixture_names_none():
    assert parse_payload(ANY_FIXTURE) is None
