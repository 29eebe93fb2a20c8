// A collector of OpenTelemetry on this host, where the agent's process sends its spans. They are read by OpenTelemetry's own messages,
// which Pulumi's SDK brings.
import * as http from "node:http";

/** What is asked of a span here. */
export interface Span {
    traceId: string;
    spanId: string;
    parentSpanId: string;
    name: string;
    /** 2 is a server's. */
    kind: number;
    /** Its own attributes and those of its resource, as text. */
    attributes: Record<string, string>;
}

interface KeyValue {
    key: string;
    value: { stringValue?: string; intValue?: string };
}

interface Message {
    resourceSpans?: {
        resource: { attributes: KeyValue[] };
        scopeSpans: {
            spans: {
                traceId: Uint8Array;
                spanId: Uint8Array;
                parentSpanId?: Uint8Array;
                name: string;
                kind: number;
                attributes: KeyValue[];
            }[];
        }[];
    }[];
}

interface Type {
    decode(bytes: Uint8Array): object;
    toObject(message: object, options: { longs: StringConstructor }): Message;
}

interface Root {
    opentelemetry: { proto: { collector: { trace: { v1: { ExportTraceServiceRequest: Type } } } } };
}

/** Runs `use` with a collector at a base URL of this host: what it has got so far. */
export async function withCollector<T>(
    base: string,
    use: (spans: readonly Span[]) => Promise<T>,
): Promise<T> {
    const spans: Span[] = [];
    const server = http.createServer((request, response) => {
        const parts: Buffer[] = [];
        request.on("data", (part: Buffer) => parts.push(part));
        request.on("end", () => {
            const known = request.method === "POST" && request.url === "/v1/traces";
            if (known) spans.push(...read(Buffer.concat(parts)));
            response.writeHead(known ? 200 : 404).end();
        });
    });
    const { hostname, port } = new URL(base);
    await new Promise<void>((resolve, reject) => {
        server.once("error", reject).listen(Number(port), hostname, resolve);
    });
    try {
        return await use(spans);
    } finally {
        const closed = new Promise((resolve) => server.close(resolve));
        server.closeAllConnections();
        await closed;
    }
}

function read(body: Buffer): Span[] {
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- it has no types.
    const root = require("@opentelemetry/otlp-transformer/build/src/generated/root") as Root;
    const type = root.opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest;
    const { resourceSpans = [] } = type.toObject(type.decode(body), { longs: String });
    const hex = (bytes: Uint8Array = new Uint8Array()) => Buffer.from(bytes).toString("hex");
    const texts = (pairs: KeyValue[]) =>
        Object.fromEntries(
            pairs.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? "a list"]),
        );
    return resourceSpans.flatMap(({ resource, scopeSpans }) =>
        scopeSpans
            .flatMap(({ spans }) => spans)
            .map(({ traceId, spanId, parentSpanId, name, kind, attributes }) => ({
                ...{
                    traceId: hex(traceId),
                    spanId: hex(spanId),
                    parentSpanId: hex(parentSpanId),
                    name,
                    kind,
                },
                attributes: texts([...resource.attributes, ...attributes]),
            })),
    );
}
