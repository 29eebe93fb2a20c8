import type { IncomingMessage } from "node:http";

/** A request, as a site sees it. */
export interface Asked {
    method: string;
    url: URL;
    /** The Authorization header; empty where there is none. */
    authorization: string;
    /** Fields of a form that was sent. */
    form: URLSearchParams;
}

export interface Answer {
    status: number;
    headers?: Record<string, string>;
    /** Sent as JSON. */
    body: unknown;
}

/** An error as the distribution specification has it. */
export function refusal(
    status: number,
    code: string,
    message: string,
    headers?: Record<string, string>,
): Answer {
    return { status, headers, body: { errors: [{ code, message }] } };
}

export async function body(request: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString("utf8");
}

/** User and password of a Basic header. */
export function basic(authorization: string): { user: string; password: string } | undefined {
    const [scheme, encoded] = authorization.split(" ");
    if (scheme.toLowerCase() !== "basic") return undefined;
    const text = Buffer.from(encoded ?? "", "base64").toString("utf8");
    const colon = text.indexOf(":");
    return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** What may be done with a repository. */
export type Action = "pull" | "push" | "delete";

/** What a request of the registry's API needs; undefined for one that is for no repository. */
export function needed({
    method,
    url,
}: Pick<Asked, "method" | "url">): { repository: string; action: Action } | undefined {
    const repository = /^\/v2\/(.+)\/(?:manifests|blobs|tags)\//.exec(url.pathname)?.[1];
    if (repository === undefined) return undefined;
    const action = method === "GET" || method === "HEAD" ? "pull" : method === "DELETE" ? "delete" : "push";
    return { repository, action };
}

/** The scope that a request's challenge names (https://distribution.github.io/distribution/spec/auth/scope/). */
export function scopeOf(repository: string, action: Action): string {
    return `repository:${repository}:${action === "push" ? "pull,push" : action}`;
}

/** The first scope that is asked for at a token server; its repository may be empty. */
export function askedScope(fields: URLSearchParams): { repository: string; actions: Action[] } {
    const [, repository = "", actions = ""] =
        /^repository:([^:]+):(.+)$/.exec(fields.get("scope") ?? "") ?? [];
    return { repository, actions: actions.split(",") as Action[] };
}
