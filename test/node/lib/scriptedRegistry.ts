// A registry of the tests' own, which answers as registries do on a bad day; and the means to put what they like into a real one.
import { createHash } from "node:crypto";
import * as http from "node:http";
import { underTest } from "../underTest";

/** A name in the scripted registry. */
export function scripted(repositoryAndTag: string): string {
    const { host, port } = underTest().scriptedRegistry;
    return `${host}:${port}/${repositoryAndTag}`;
}

/** What the registry says to those who ask for a repository `busy/…`. */
export const BUSY_WORDS = "the quota of this account is used up until Thursday";

/** How often a repository `flaky/…` fails before it answers. */
export const FLAKY_FAILURES = 2;

/**
 * The scripted registry. What it does is in the first part of a repository's name:
 * `slow/…` never answers; `busy/…` refuses in its own words; `flaky/…` is out of order at first and then gives what the real
 * registry has under the rest of the name.
 */
export class ScriptedRegistry {
    private readonly server = http.createServer((request, response) => {
        this.answer(request, response).catch(() => response.destroy());
    });
    /** How often each URL was asked for. */
    readonly asked = new Map<string, number>();

    async start(): Promise<void> {
        const { host, port } = underTest().scriptedRegistry;
        await new Promise<void>((resolve, reject) => {
            this.server.once("error", reject).listen(port, host, resolve);
        });
    }

    async stop(): Promise<void> {
        const closed = new Promise((resolve) => this.server.close(resolve));
        this.server.closeAllConnections();
        await closed;
    }

    private async answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
        const url = request.url ?? "";
        const times = (this.asked.get(url) ?? 0) + 1;
        this.asked.set(url, times);
        const [, mode, rest] = /^\/v2\/(\w+)\/(.*)$/.exec(url) ?? [];
        switch (mode) {
            case undefined:
                response.end("{}");
                return;
            case "slow":
                return;
            case "busy":
                fail(response, 429, "TOOMANYREQUESTS", BUSY_WORDS);
                return;
            case "flaky":
                if (times <= FLAKY_FAILURES) return fail(response, 503, "UNAVAILABLE", "out of order");
                return relay(request, response, `http://${underTest().registry}/v2/${rest}`);
            default:
                fail(response, 404, "NAME_UNKNOWN", "repository name not known to registry");
        }
    }
}

function fail(response: http.ServerResponse, status: number, code: string, message: string): void {
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify({ errors: [{ code, message }] }));
}

async function relay(
    request: http.IncomingMessage,
    response: http.ServerResponse,
    url: string,
): Promise<void> {
    const { accept = "*/*" } = request.headers;
    const found = await fetch(url, { method: request.method, headers: { accept } });
    const kept = ["content-type", "docker-content-digest", "content-length"].flatMap((name) => {
        const value = found.headers.get(name);
        return value === null ? [] : [[name, value] as const];
    });
    response.writeHead(found.status, Object.fromEntries(kept));
    response.end(Buffer.from(await found.arrayBuffer()));
}

const OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
const OCI_INDEX = "application/vnd.oci.image.index.v1+json";

/** Media types of a module's config and layer: as the CNCF's working group agreed, and as wasm-to-oci wrote them. */
export const agreed = { config: "application/vnd.wasm.config.v0+json", layer: "application/wasm" };
export const wasmToOci = {
    config: "application/vnd.wasm.config.v1+json",
    layer: "application/vnd.wasm.content.layer.v1+wasm",
};

/** What an index says of a module. */
export const WASM = { architecture: "wasm", os: "wasip1" };

/** What points at a blob or a manifest. */
export interface Descriptor {
    mediaType: string;
    digest: string;
    size: number;
    platform?: { architecture: string; os: string };
}

function describe(mediaType: string, bytes: Buffer): Descriptor {
    const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
    return { mediaType, digest, size: bytes.length };
}

/** Puts a blob into a repository of a registry without a login. */
async function pushBlob(
    registry: string,
    repository: string,
    mediaType: string,
    bytes: Buffer,
): Promise<Descriptor> {
    const descriptor = describe(mediaType, bytes);
    const begun = await fetch(`http://${registry}/v2/${repository}/blobs/uploads/`, { method: "POST" });
    const place = new URL(begun.headers.get("location") ?? "", `http://${registry}`);
    place.searchParams.set("digest", descriptor.digest);
    const headers = { "content-type": "application/octet-stream" };
    const put = await fetch(place, { method: "PUT", headers, body: new Uint8Array(bytes) });
    if (put.status !== 201) throw new Error(`blob for ${repository}: ${put.status} ${await put.text()}`);
    return descriptor;
}

async function pushManifest(
    registry: string,
    repository: string,
    tag: string,
    manifest: object,
): Promise<Descriptor> {
    const { mediaType } = manifest as { mediaType: string };
    const bytes = Buffer.from(JSON.stringify(manifest));
    const descriptor = describe(mediaType, bytes);
    const put = await fetch(`http://${registry}/v2/${repository}/manifests/${tag}`, {
        method: "PUT",
        headers: { "content-type": mediaType },
        body: new Uint8Array(bytes),
    });
    if (put.status !== 201) throw new Error(`${repository}:${tag}: ${put.status} ${await put.text()}`);
    return descriptor;
}

/** Pushes an artifact of one layer; its manifest's descriptor. */
export async function pushArtifact(
    registry: string,
    repository: string,
    tag: string,
    layer: Buffer,
    types = agreed,
): Promise<Descriptor> {
    return pushImage(registry, repository, tag, { ...WASM, layerDigests: [] }, layer, types);
}

/** Pushes an image of one layer; its manifest's descriptor. */
export async function pushImage(
    registry: string,
    repository: string,
    tag: string,
    config: object,
    layer: Buffer,
    types: { config: string; layer: string },
): Promise<Descriptor> {
    const configBytes = Buffer.from(JSON.stringify(config));
    return pushManifest(registry, repository, tag, {
        schemaVersion: 2,
        mediaType: OCI_MANIFEST,
        config: await pushBlob(registry, repository, types.config, configBytes),
        layers: [await pushBlob(registry, repository, types.layer, layer)],
    });
}

/** Pushes an index of manifests that are in the repository already. */
export function pushIndex(
    registry: string,
    repository: string,
    tag: string,
    manifests: Descriptor[],
): Promise<Descriptor> {
    return pushManifest(registry, repository, tag, { schemaVersion: 2, mediaType: OCI_INDEX, manifests });
}

/** A module with so many bytes more, in a section that means nothing. */
export function padded(module: Buffer, bytes: number): Buffer {
    const name = Buffer.from("\x07padding");
    const size: number[] = [];
    for (let rest = name.length + bytes; ; rest >>>= 7) {
        size.push(rest >= 128 ? (rest & 127) | 128 : rest);
        if (rest < 128) break;
    }
    return Buffer.concat([module, Buffer.from([0, ...size]), name, Buffer.alloc(bytes)]);
}
