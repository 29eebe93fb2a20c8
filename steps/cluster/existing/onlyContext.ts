import { createHash } from "node:crypto";
import { dirname, isAbsolute, resolve } from "node:path";
import { pemOf } from "../../lib/kube/access";
import { contextOf, type Kubeconfig } from "../../lib/kube/kubeconfig";

type Body = Record<string, unknown>;

/** Fields that name a file, whose content can stand in `<field>-data` instead. */
const pemFields = ["certificate-authority", "client-certificate", "client-key"];

/**
 * A kubeconfig (JSON, which is YAML too) of one context of another one: its cluster, context and user all bear its name, and what
 * it names by file is in it or named absolutely, so that it serves wherever it stands.
 */
export async function onlyContext(config: Kubeconfig, file: string, context: string): Promise<string> {
    const parts = contextOf(config, file, context);
    const body = bodyIn(config.contexts, context);
    const cluster = bodyIn(config.clusters, body.cluster);
    const user = bodyIn(config.users, body.user);
    for (const [fields, of] of [
        [parts.cluster, cluster],
        [parts.user, user],
    ] as const) {
        for (const field of pemFields) {
            const pem = await pemOf(fields, field);
            if (pem === undefined) continue;
            delete of[field];
            of[`${field}-data`] = Buffer.from(pem).toString("base64");
        }
    }
    const absolute = (path: unknown) =>
        typeof path === "string" && !isAbsolute(path) ? resolve(dirname(file), path) : path;
    // Whoever gave these keeps them up to date where they are.
    if (user.tokenFile !== undefined) user.tokenFile = absolute(user.tokenFile);
    const exec = user.exec as Body | undefined;
    if (typeof exec?.command === "string" && exec.command.includes("/"))
        user.exec = { ...exec, command: absolute(exec.command) };
    const named = {
        cluster: context,
        user: context,
        ...(body.namespace ? { namespace: body.namespace } : {}),
    };
    const copy = {
        apiVersion: "v1",
        kind: "Config",
        clusters: [{ name: context, cluster }],
        users: [{ name: context, user }],
        contexts: [{ name: context, context: named }],
        "current-context": context,
    };
    return `${JSON.stringify(copy, null, 2)}\n`;
}

function bodyIn(entries: { name: string; body: Body }[], name: unknown): Body {
    return { ...entries.find((entry) => entry.name === name)?.body };
}

/** SHA-256 of a copy: another credential or server, another digest. */
export function digestOfKubeconfig(copy: string): string {
    return createHash("sha256").update(copy).digest("hex");
}
