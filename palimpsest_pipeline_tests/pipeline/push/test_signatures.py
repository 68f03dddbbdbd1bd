"""Headers of a message, against the published example of the specification."""

import base64
import hashlib
import hmac

import pytest

from palimpsest_pipeline.pipeline.push.send import BadSigningKey, build_headers, decode_key

KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_signature_covers_id_time_and_body():
    body = b'{"test": 2432232314}'
    headers = build_headers("msg_p5jXN8AQM9LWM0D4loKWxJek", body, 1614265330, decode_key(KEY))
    key = base64.b64decode(KEY.removeprefix("whsec_"))
    signed = b"msg_p5jXN8AQM9LWM0D4loKWxJek.1614265330." + body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330")


def test_without_a_key_there_is_no_signature():
    assert "webhook-signature" not in build_headers("a", b"{}", 1, None)


@pytest.mark.parametrize("text", ["whsec_not base64!", "hunter2", "whsec_aHVudGVyMg==", "whsec_hunter2ü"])
def test_a_bad_key_is_refused_and_not_repeated(text: str):
    with pytest.raises(BadSigningKey) as caught:
        decode_key(text)
    assert "hunter2" not in str(caught.value)
    assert "aHVu" not in str(caught.value)


def test_a_plain_key_is_its_text():
    assert decode_key("sixteen bytes !!") == b"sixteen bytes !!"
