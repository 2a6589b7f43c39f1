"""Which spans count: a token is in one span's account, whoever else reports it too.

Rules, each within one project: a (trace id, span id) stored twice counts once; one response id counts once in a trace;
a server's span is a mirror, and not counted, when a client's span of its trace holds it or the same output; a span that
holds just the sum of its children is their total; what the SDK was told by hand is a total, too, where other
instrumentation around it reports just that for the same operation; an agent's total counts only when nothing below it
does.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from economics.times import sql_time
from store.telemetry import TelemetryStore

SERVER_KIND = 2
SDK_SCOPE = "andon"
INFERENCE_OPERATIONS = ("chat", "text_completion", "generate_content", "embeddings")
# A trace's spans may end this far apart and still be recognised as views of the same call.
TRACE_SPREAD = timedelta(minutes=30)
CLOCK_SKEW = timedelta(seconds=5)

# How the SDK names a span that holds nothing but usage.
_USAGE_NAME = "trimRight(concat(operation, ' ', if(request_model != '', request_model, response_model)))"

# Two views of one call, or a total and what it totals, overlap in time: so a window needs of what ends outside it only
# what reaches into it, and what its own spans reach back to. Clocks of two machines may differ by the skew.
_NEARBY = """
usage_role != 'none'
    AND end_time >= toDateTime64(:from_time, 9, 'UTC') - INTERVAL {spread} SECOND
    AND end_time < toDateTime64(:to_time, 9, 'UTC') + INTERVAL {spread} SECOND
    AND (end_time >= toDateTime64(:from_time, 9, 'UTC')
        OR (project, trace_id) IN (
            SELECT project, trace_id FROM spans WHERE usage_role != 'none'
              AND end_time >= toDateTime64(:from_time, 9, 'UTC') AND end_time < toDateTime64(:to_time, 9, 'UTC')
              AND start_time < toDateTime64(:from_time, 9, 'UTC') + INTERVAL {skew} SECOND))
    AND (end_time < toDateTime64(:to_time, 9, 'UTC')
        OR start_time < toDateTime64(:to_time, 9, 'UTC') + INTERVAL {skew} SECOND)
"""

# Most traces hold calls that have nothing to do with each other. The rules look at the others alone: a trace with a
# server's span or an agent's total, with one response twice, with a span that holds usage below another, or with what
# the SDK was told beside what another instrumentation saw.
_ENTANGLED = """
SELECT project, trace_id FROM spans WHERE {nearby}
GROUP BY project, trace_id HAVING count() > 1 AND (
    max(kind = {server} OR usage_role = 'rollup')
    OR arrayUniq(groupArrayIf(cityHash64(response_id), response_id != '')) < countIf(response_id != '')
    OR hasAny(groupArray(reinterpretAsUInt64(parent_span_id)), groupArray(reinterpretAsUInt64(span_id)))
    OR max(scope_name = '{sdk}') AND min(scope_name = '{sdk}') = 0)
"""

# Spans of those traces whose tokens another span holds. Each span joins a group for everything that it may share with
# others: itself as a node, its parent, its output, its trace, its response, and what the SDK was told about a node.
# Each group names those that do not count; so all rules take one pass, however large a trace is.
_UNCOUNTED = """
SELECT project, trace_id, arrayJoin(multiIf(
    -- A server's span below a client's; a call that holds just what its children hold; a total of totals.
    shared = 'node', arrayConcat(
        if(notEmpty(own_calls), servers_below, []),
        arrayMap(own -> own.1,
            arrayFilter(own -> calls_below > 0 AND own.2 = in_below AND own.3 = out_below, own_calls)),
        if(rollups_below > 0, own_rollups, [])),
    -- A server's span with the output of a client's.
    shared = 'output', if(calls > 0, servers, []),
    -- An agent's total where calls are known.
    shared = 'trace', if(leaves > 0, rollups, []),
    -- One response more than once: a span with a pipeline is kept, else the first.
    shared = 'response', arrayMap(one -> one.3, arrayPopFront(arraySort(responses))),
    -- What a stage was told, where other instrumentation reports just that for the same operation.
    arrayMap(one -> one.1, arrayFilter(one -> seen > 0 AND one.2 = in_seen AND one.3 = out_seen, told))
)) AS span_id FROM (
    SELECT project, trace_id, share.1 AS shared, share.2 AS key,
        groupArrayIf((span_id, n_in, n_out), is_call AND share.3) AS own_calls,
        groupArrayIf(span_id, is_rollup AND share.3) AS own_rollups,
        groupArrayIf(span_id, is_server AND NOT share.3) AS servers_below,
        countIf(is_call AND NOT share.3) AS calls_below,
        sumIf(n_in, is_call AND NOT share.3) AS in_below, sumIf(n_out, is_call AND NOT share.3) AS out_below,
        countIf(is_rollup AND NOT share.3) AS rollups_below,
        countIf(is_call) AS calls, countIf(is_call OR is_server) AS leaves,
        groupArrayIf(span_id, is_server) AS servers, groupArrayIf(span_id, is_rollup) AS rollups,
        groupArray((pipeline = '', end_time, span_id)) AS responses,
        groupArrayIf((span_id, n_in, n_out), is_call AND is_sdk) AS told,
        countIf(is_call AND NOT is_sdk) AS seen,
        sumIf(n_in, is_call AND NOT is_sdk) AS in_seen, sumIf(n_out, is_call AND NOT is_sdk) AS out_seen
    FROM (
        SELECT project, trace_id, span_id, pipeline, end_time,
            usage_role = 'leaf' AND kind != {server} AS is_call, usage_role = 'leaf' AND kind = {server} AS is_server,
            usage_role = 'rollup' AS is_rollup, scope_name = '{sdk}' AS is_sdk,
            ifNull(input_tokens, 0) AS n_in, ifNull(output_tokens, 0) AS n_out,
            reinterpretAsUInt64(span_id) AS node, reinterpretAsUInt64(parent_span_id) AS parent,
            -- A stage that was told of several models keeps the first and has a child of its own for each other.
            if(is_sdk AND name != {usage_name}, node, parent) AS told_of,
            arrayJoin(arrayConcat(
                [('node', node, 1), ('node', parent, 0), ('output', toUInt64(n_out), 0), ('trace', 0, 0)],
                if(response_id = '', [], [('response', cityHash64(response_id), 0)]),
                if(is_call, [('told', cityHash64(told_of, operation), 0)], []))) AS share
        FROM spans WHERE {nearby} AND (project, trace_id) IN ({entangled})
        LIMIT 1 BY project, trace_id, span_id, share
    ) GROUP BY project, trace_id, shared, key
)
"""

# Spans that end in [:from_time, :to_time), once each, with `counts` = 1 for those whose tokens count.
# Every rule looks at the trace around the window, so that cutting time into minutes changes nothing.
_COUNTED = """
SELECT project, trace_id, span_id, start_time, end_time, kind, status_code, service, pipeline, stage, provider,
    request_model, response_model, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
    reasoning_tokens, time_to_first_token_seconds,
    usage_role != 'none' AND NOT {unseated} AS counts,
    counts OR (usage_role = 'none' AND operation IN ({operations})) AS is_call,
    pipeline != '' AND stage = '' AND name = pipeline AS is_run
FROM (
    SELECT * FROM spans
    WHERE end_time >= toDateTime64(:from_time, 9, 'UTC') AND end_time < toDateTime64(:to_time, 9, 'UTC')
      AND {where}
    LIMIT 1 BY project, trace_id, span_id
)
"""


_KNOWN = {
    "nearby": _NEARBY.format(spread=int(TRACE_SPREAD.total_seconds()), skew=int(CLOCK_SKEW.total_seconds())),
    "server": SERVER_KIND,
    "sdk": SDK_SCOPE,
}
_ENTANGLED_TRACES = _ENTANGLED.format(**_KNOWN)
_UNCOUNTED_SPANS = _UNCOUNTED.format(**_KNOWN, entangled=_ENTANGLED_TRACES, usage_name=_USAGE_NAME)


def any_entangled(store: TelemetryStore, start: datetime, end: datetime) -> bool:
    """Whether a trace of [start, end) needs the rules at all; to apply them costs more than to ask."""
    times = {"from_time": sql_time(start), "to_time": sql_time(end)}
    return bool(store.rows(f"SELECT 1 AS found FROM ({_ENTANGLED_TRACES}) LIMIT 1", **times))


def counted_sql(where: str, entangled: bool) -> str:
    """Every span that ends in [:from_time, :to_time), once, with `counts`, `is_call` and `is_run`.

    Args:
        where: an SQL condition on `end_time`.
        entangled: what `any_entangled` says of that time.
    """
    operations = ", ".join(f"'{name}'" for name in INFERENCE_OPERATIONS)
    unseated = f"(project, trace_id, span_id) IN ({_UNCOUNTED_SPANS})" if entangled else "0"
    return _COUNTED.format(unseated=unseated, operations=operations, where=where)
