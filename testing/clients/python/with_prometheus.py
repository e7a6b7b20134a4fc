"""The parsers of Prometheus' client for Python: both formats in which metrics are told, and what they say of known
requests.
"""

import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

BASE = sys.argv[1]
PLAIN = "text/plain;version=0.0.4"
OPENMETRICS = "application/openmetrics-text;version=1.0.0"


def get(path, accept=None):
    request = Request(BASE + path, headers={"Accept": accept} if accept else {})
    with urlopen(request, timeout=10) as answer:
        return answer.headers, answer.read().decode()


def families(accept, parse):
    fields, text = get("/metrics", accept)
    assert fields["Content-Type"].startswith(accept.split(";")[0]), fields
    found = {family.name: family for family in parse(text)}
    assert len(found) > 50, sorted(found)
    for family in found.values():
        assert family.documentation, f"{family.name} does not say what it is"
        assert family.type != "unknown", family
    return found


def value(found, name, **labels):
    samples = [
        sample.value
        for family in found.values()
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]
    assert samples, f"{name} {labels} is not told"
    return sum(samples)


def counts(found, group):
    requests = "tidegate_url_group_requests_total"
    return [
        value(found, requests, group=group, method="GET"),
        value(found, "tidegate_http_responses_total", **{"class": "4xx"}),
        value(found, "tidegate_http_request_duration_seconds_count", queue=group),
    ]


def main():
    group = BASE + "/"
    before = counts(families(PLAIN, plain), group)
    for path in ["/", "/none", "/none"]:
        try:
            get(path)
        except HTTPError as error:
            assert error.code == 404, error
    found = families(OPENMETRICS, openmetrics)
    after = counts(found, group)
    assert [new - old for new, old in zip(after, before)] == [3, 2, 3], (before, after)
    assert value(found, "process_resident_memory_bytes") > 1_000_000
    assert value(found, "tidegate_connections_accepted_total") >= 5
    infinite = value(found, "tidegate_http_request_duration_seconds_bucket", queue=group, le="+Inf")
    assert infinite == after[2]
    # Both formats tell the same families.
    assert {name.removesuffix("_total") for name in families(PLAIN, plain)} == set(found)


main()
