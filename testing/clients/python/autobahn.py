"""The Autobahn suite, run by kosoku: its cases are Autobahn's own, unchanged but for Python 3.

`autobahn.py URL share INDEX COUNT` runs all of them but for the long sections about compression, of which
it runs one of COUNT shares: the shares with the indexes from 0 on are the whole suite. `autobahn.py URL split`
runs those whose messages are small, for a peer that cuts all into bytes.
"""

import asyncio
import os
import sys
import time
import warnings

from kosoku import FailureError, cases, run_fuzzingclient

# Cases that wait a second for an answer: before those that leave nothing of the processor.
PROTOCOL = [f"{section}.*" for section in (1, 2, 3, 4, 5, 6, 7, 10)]
LIMITS = [f"9.{section}.*" for section in range(1, 9)]
COMPRESSION = [name for name in cases.CASES if name.startswith(("12.", "13."))]
SMALL_COMPRESSION = ["12.1.1"]

# How many cases there are: a selection that matches less must not pass.
PROTOCOL_COUNT, LIMITS_COUNT, COMPRESSION_COUNT = 247, 54, 216

# Text that breaks off in the middle of a character may be refused at once or when its message ends.
MAY_BE_LATE = {"6.4.1", "6.4.2", "6.4.3", "6.4.4"}
# What the standard leaves open.
OPEN = {"7.1.6", "7.13.1", "7.13.2"}

AT_ONCE = 4
TOLD_IN_FULL = 6


def mend():
    """kosoku 0.1.0 hands text that came uncompressed over as `str`; the cases of 12 and 13 want bytes."""
    # Autobahn's cases leave files open.
    warnings.simplefilter("ignore", ResourceWarning)

    def wanting_bytes(on_message):
        def on_any_message(self, message, is_binary):
            data = message.encode() if isinstance(message, str) else message
            return on_message(self, data, is_binary)
        return on_any_message

    for name, case in cases.CASES.items():
        if name.startswith(("12.", "13.")):
            case.onMessage = wanting_bytes(case.onMessage)


def is_good(result):
    behavior, close = result.behavior.value, result.behavior_close.value
    if result.case_id in OPEN:
        return behavior in ("OK", "INFORMATIONAL") and close in ("OK", "INFORMATIONAL")
    if result.case_id in MAY_BE_LATE:
        return behavior in ("OK", "NON-STRICT") and close == "OK"
    return (behavior, close) == ("OK", "OK")


def brief(value, most=400):
    text = " ".join(str(value).split())
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


def tell(result):
    print(f"case {result.case_id}: {result.behavior.value}, at its close {result.behavior_close.value}")
    print(f"  does:     {brief(result.description)}")
    print(f"  expects:  {brief(result.expectation)}")
    print(f"  happened: {brief(result.result)} {brief(result.result_close)}")
    print(f"  expected: {brief(result.expected)} then {brief(result.expected_close)}")
    print(f"  received: {brief(result.received)} then close {result.remote_close_code}"
          f" {brief(result.remote_close_reason)}; we sent close {result.local_close_code};"
          f" clean: {result.was_clean} {brief(result.was_not_clean_reason or '')}")


async def run(url, selections):
    results = []
    for selection in selections:
        begun = time.monotonic()
        try:
            results += await run_fuzzingclient(url, selection, concurrency=AT_ONCE)
        except FailureError as failure:
            results += failure.results
        print(f"{len(results)} cases, the last part in {time.monotonic() - begun:.0f} s")
    return results


def main(url, selections, count):
    mend()
    results = asyncio.run(run(url, selections))
    bad = [result for result in results if not is_good(result)]
    for result in bad[:TOLD_IN_FULL]:
        tell(result)
    if len(bad) > TOLD_IN_FULL:
        print("all that failed:", " ".join(result.case_id for result in bad))
    print(f"{len(bad)} of {len(results)} cases failed")
    if len(results) != count:
        print(f"there should be {count} cases")
    return len(results) == count and not bad


def share(index, count):
    """Every COUNTth case: each share gets small and large messages with all parameters."""
    if len(COMPRESSION) != COMPRESSION_COUNT:
        sys.exit(f"there are {len(COMPRESSION)} cases of compression, not {COMPRESSION_COUNT}")
    own = COMPRESSION[index::count]
    return [PROTOCOL + LIMITS, own], PROTOCOL_COUNT + LIMITS_COUNT + len(own)


def split():
    return [PROTOCOL, SMALL_COMPRESSION], PROTOCOL_COUNT + len(SMALL_COMPRESSION)


RUNS = {"share": share, "split": split}

base, name, *numbers = sys.argv[1:]
passed = main(base.replace("http", "ws", 1) + "/ws", *RUNS[name](*map(int, numbers)))
sys.stdout.flush()
# kosoku's threads sometimes crash an interpreter that shuts down: this one does not.
os._exit(0 if passed else 1)
