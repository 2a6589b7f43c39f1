// A small program on the OpenTelemetry SDK for Node.js: a trace of two spans, four metrics, two log records, as JSON.
// Endpoint and headers come from OTEL_EXPORTER_OTLP_*; it prints the ids of its trace.

import { SpanKind, SpanStatusCode, context, trace } from "@opentelemetry/api";
import { SeverityNumber } from "@opentelemetry/api-logs";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPMetricExporter } from "@opentelemetry/exporter-metrics-otlp-http";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const resource = resourceFromAttributes({ "service.name": "node-bot", "deployment.environment.name": "test" });

const tracers = new BasicTracerProvider({ resource, spanProcessors: [new BatchSpanProcessor(new OTLPTraceExporter())] });
const tracer = tracers.getTracer("node-program", "1.2.3");
const outer = tracer.startSpan("answer", { kind: SpanKind.SERVER });
const inner = tracer.startSpan(
  "chat gpt-5-mini",
  {
    kind: SpanKind.CLIENT,
    attributes: {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "openai",
      "gen_ai.request.model": "gpt-5-mini",
      "gen_ai.usage.input_tokens": 31,
      "gen_ai.usage.output_tokens": 7,
      "gen_ai.response.finish_reasons": ["stop"],
      "app.ratio": 0.25,
      "app.retried": true,
      "app.greeting": "grüß dich 世界",
    },
  },
  trace.setSpan(context.active(), outer),
);
inner.addEvent("first-token", { index: 1 });
inner.setStatus({ code: SpanStatusCode.ERROR, message: "cut off" });
inner.end();
outer.end();

const reader = new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter(), exportIntervalMillis: 3_600_000 });
const meters = new MeterProvider({ resource, readers: [reader] });
const meter = meters.getMeter("node-program");
meter.createCounter("calls", { unit: "{call}" }).add(5, { route: "/ask" });
meter.createUpDownCounter("queue").add(-3);
meter.createGauge("temperature", { unit: "Cel" }).record(36.6);
const durations = meter.createHistogram("duration", { unit: "s", advice: { explicitBucketBoundaries: [1, 2] } });
for (const seconds of [0.5, 1.5, 4]) durations.record(seconds);

const loggers = new LoggerProvider({
  resource,
  processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter() })],
});
const logger = loggers.getLogger("node-program");
logger.emit({
  severityNumber: SeverityNumber.WARN,
  severityText: "WARN",
  body: "slow answer",
  attributes: { seconds: 4 },
  context: trace.setSpan(context.active(), inner),
});
logger.emit({ eventName: "order.placed", body: { id: 7, items: ["a", "b"] } });

await Promise.all([tracers.shutdown(), meters.shutdown(), loggers.shutdown()]);
const { traceId, spanId } = inner.spanContext();
console.log(JSON.stringify({ traceId, spanId, parentSpanId: outer.spanContext().spanId }));
