"""REDbot, a linter for HTTP: asks for the site's resources in the ways that caches and clients do, and judges what
comes. None of it may be bad.
"""

import sys
from configparser import ConfigParser

import thor
from httplint.note import levels
from redbot.resource import HttpResource

BASE = sys.argv[1]
# Resources, and whether parts of them may be asked for.
RESOURCES = {
    "/": True,
    "/chat": True,
    "/tidegate/websocket.js": False,
    "/tidegate/tidegate.channels.js": False,
    "/tide.wav": True,
    "/file": True,
    "/hello": False,
    "/bytes/100000": False,
    "/stream": False,
    "/cached": False,
    "/inspect?a=b": False,
    "/forward": False,
    "/status/404": False,
}


def check(paths):
    """Looks at all of them side by side."""
    settings = ConfigParser()
    settings.read_dict({"redbot": {"enable_local_access": "True"}})
    resources = {path: HttpResource(settings["redbot"]) for path in paths}
    waiting = set(paths)

    def done(path):
        waiting.discard(path)
        if not waiting:
            thor.stop()

    for path, resource in resources.items():
        resource.set_request(BASE + path)
        resource.on("check_done", lambda path=path: done(path))
    for resource in resources.values():
        resource.check()
    thor.run()
    return resources


def notes(resource):
    """The notes on the answer, and on those that were asked for to compare."""
    for one in [resource, *resource.subreqs.values()]:
        yield from one.response.notes


bad = []
for path, resource in check(RESOURCES).items():
    assert resource.response.complete, (path, resource.fetch_error)
    print(path, resource.response.status_code, "parts", resource.partial_support,
          "conditions", resource.inm_support, resource.ims_support, "gzip", resource.gzip_support)
    for note in notes(resource):
        print("   ", note.level.name, note.category.name, note.summary)
        if note.level == levels.BAD:
            bad.append(f"{path}: {note.summary}: {note.detail}")
    assert resource.partial_support == RESOURCES[path], path
assert not bad, "\n".join(bad)
