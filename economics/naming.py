"""What a series is about: the rules of the catalogue, applied in SQL to the labels of each series.

A series is looked at once, however many points it has; one that several quantities are made of comes several times.
Rules go to the statement as one JSON text, `:rules`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from economics.catalogue import Signal

# A rule as the statement reads it.
_RULE = {
    "name": "String",
    "kind": "String",
    "take": "String",
    "source": "String",
    "vantage": "String",
    "signal": "String",
    "quantity": "String",
    "scale": "Float64",
    "units": "Array(String)",
    "factors": "Array(Float64)",
    "precedence": "UInt8",
    "part": "String",
    "part_labels": "Array(String)",
    "only": "Array(Tuple(labels Array(String), texts Array(String)))",
    "skip_label": "String",
    "skip_prefix": "String",
    "model": "Array(String)",
    "accelerator": "Array(String)",
    "index": "Array(String)",
    "host": "Array(String)",
    "repeated": "Array(String)",
    "ratio_or_percent": "UInt8",
}

# Each series with what it is about, once for each quantity that it is.
_NAMED = """
SELECT s.project AS project, s.series AS series, s.environment AS environment, s.service AS service,
    s.accelerator_pool AS accelerator_pool, r.source AS source, r.signal AS signal, r.precedence AS precedence,
    r.vantage AS vantage, r.quantity AS quantity, r.take AS take, r.ratio_or_percent AS ratio_or_percent,
    if(has(r.units, s.unit), r.factors[indexOf(r.units, s.unit)], r.scale) AS scale,
    arrayFirst(text -> text != '', arrayMap(label -> s.labels[label], ['service.instance.id', 'instance']))
        AS instance,
    arrayFirst(text -> text != '', arrayMap(label -> s.labels[label],
        arrayConcat(r.host, ['host.name', 'k8s.node.name', 'host.id']))) AS host,
    arrayFirst(text -> text != '', arrayMap(label -> s.labels[label], r.model)) AS model,
    arrayFirst(text -> text != '', arrayMap(label -> s.labels[label], r.accelerator)) AS global_id,
    arrayFirst(text -> text != '', arrayMap(label -> s.labels[label], r.index)) AS local_id,
    multiIf(global_id != '', global_id, local_id = '', '', concat(if(host != '', host, instance), '/', local_id))
        AS accelerator,
    if(r.part != '', r.part,
        arrayFirst(text -> text != '', arrayMap(label -> s.labels[label], r.part_labels))) AS part,
    arrayStringConcat(arrayMap(label -> s.labels[label], r.repeated), '/') AS copy,
    if(empty(replaceAll(copy, '/', '')), s.series, cityHash64(r.signal, s.service, s.resource,
        mapSort(mapFilter((label, text) -> NOT has(r.repeated, label), s.attributes)))) AS original
FROM (
    SELECT project, series, any(metric) AS name, any(unit) AS unit, any(environment) AS environment,
        any(service) AS service, any(accelerator_pool) AS accelerator_pool,
        multiIf(any(kind) = 'sum', if(any(monotonic), 'counter', 'gauge'), any(kind) = 'gauge', 'gauge', 'histogram')
            AS kind,
        any(p.attributes) AS attributes, any(p.resource) AS resource, mapUpdate(resource, attributes) AS labels
    FROM metric_series AS p
    WHERE metric IN (:metrics)
      AND day >= toStartOfDay(toDateTime64(:from_time, 9, 'UTC')) AND day < toDateTime64(:to_time, 9, 'UTC')
    GROUP BY project, series
) AS s INNER JOIN (
    SELECT {fields} FROM (SELECT arrayJoin(JSONExtract(:rules, 'Array(Tuple({rule}))')) AS rule)
) AS r ON s.name = r.name AND s.kind = r.kind
WHERE arrayAll(
        one -> has(one.texts, arrayFirst(text -> text != '', arrayMap(label -> s.labels[label], one.labels))), r.only)
  AND NOT (r.skip_label != '' AND startsWith(s.labels[r.skip_label], r.skip_prefix))
"""


def named_sql() -> str:
    """The series of :metrics on the days of [:from_time, :to_time), with what they are about by :rules."""
    fields = ", ".join(f"rule.{name} AS {name}" for name in _RULE)
    rule = ", ".join(f"{name} {kind}" for name, kind in _RULE.items())
    return _NAMED.format(rule=rule, fields=fields)


def rules(signals: Iterable[Signal], names: Iterable[str]) -> list[dict[str, Any]]:
    """Signals as the statement reads them: one entry for each of `names` that a signal goes by."""
    wanted = set(names)
    return [
        {
            "name": name,
            "kind": signal.kind,
            "take": signal.take,
            "source": signal.source.id,
            "vantage": signal.vantage,
            "signal": signal.metric,
            "quantity": signal.quantity.id,
            "scale": signal.scale,
            "units": list(signal.units),
            "factors": [float(factor) for factor in signal.units.values()],
            "precedence": signal.precedence,
            "part": signal.part,
            "part_labels": signal.part_labels,
            "only": [{"labels": labels, "texts": texts} for labels, texts in signal.only],
            "skip_label": signal.skip[0],
            "skip_prefix": signal.skip[1],
            "model": signal.source.model,
            "accelerator": signal.source.accelerator,
            "index": signal.source.index,
            "host": signal.source.host,
            "repeated": signal.repeated,
            "ratio_or_percent": int(signal.ratio_or_percent),
        }
        for signal in signals
        for name in signal.names
        if name in wanted
    ]
