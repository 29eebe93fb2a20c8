import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { rootCertificates } from "node:tls";
import { expandHome } from "../lib/files";
import { hostAuthorities, proxyOf, TunnelAgent } from "../lib/proxy";

/** What a registry answered at `/v2/`; `serves` when it is one, asking for a login or not. */
export interface RegistryAnswer {
    serves: boolean;
    /** `HTTP 404`, `connect ECONNREFUSED …` */
    what: string;
}

/** Docker Hub's name in references is not the name of its registry. */
function hostOf(registry: string): string {
    return registry === "docker.io" || registry === "index.docker.io" ? "registry-1.docker.io" : registry;
}

/** Whether a registry's address is of this machine, where plain HTTP is what one expects. */
export function isLoopback(registry: string): boolean {
    return /^(localhost|127(\.\d+){3})(:\d+)?$/.test(registry);
}

/** How to ask a registry. */
export interface RegistryQuestion {
    plainHttp: boolean;
    /** PEM file of certificate authorities that are trusted beside the usual ones. */
    trustedCaFile?: string;
}

/** How a URL is got at: with the authorities that are trusted, and through the environment's proxy, as the push and the node do. */
function waysTo(url: URL, trustedCaFile: string | undefined): https.RequestOptions {
    const proxy = proxyOf(url);
    const target = {
        protocol: url.protocol,
        host: url.hostname.replace(/^\[|\]$/g, ""),
        port: url.port,
        path: url.pathname,
    };
    if (url.protocol === "https:") {
        const own = trustedCaFile === undefined ? [] : [pemIn(trustedCaFile)];
        const ca = [...rootCertificates, ...hostAuthorities(), ...own];
        return { ...target, ca, agent: proxy === undefined ? false : new TunnelAgent(proxy, { ca }) };
    }
    if (proxy === undefined) return { ...target, agent: false };
    // In plain HTTP a proxy is asked for the whole URL.
    const { hostname, port, protocol, username, password } = proxy;
    const auth =
        username === "" ? undefined : `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    const headers = {
        host: url.host,
        ...(auth === undefined
            ? {}
            : { "proxy-authorization": `Basic ${Buffer.from(auth).toString("base64")}` }),
    };
    return { protocol, host: hostname, port, path: url.href, headers, agent: false };
}

function pemIn(trustedCaFile: string): string {
    try {
        return readFileSync(expandHome(trustedCaFile), "utf8");
    } catch (error) {
        throw new Error(`trustedCaFile: ${(error as Error).message}`, { cause: error });
    }
}

/** Asks a registry for its API version (OCI distribution specification, "Determining Support"). Never throws. */
export function askRegistry(
    registry: string,
    { plainHttp, trustedCaFile }: RegistryQuestion,
    timeoutSeconds: number,
): Promise<RegistryAnswer> {
    const url = new URL(`${plainHttp ? "http" : "https"}://${hostOf(registry)}/v2/`);
    let options: https.RequestOptions;
    try {
        options = { ...waysTo(url, trustedCaFile), timeout: timeoutSeconds * 1000 };
    } catch (error) {
        return Promise.resolve({ serves: false, what: (error as Error).message });
    }
    return new Promise((resolve) => {
        const client = options.protocol === "http:" ? http : https;
        const request = client.get(options, (response) => {
            response.resume();
            const { statusCode } = response;
            resolve({
                serves: statusCode === 200 || statusCode === 401,
                what: `HTTP ${statusCode ?? "?"}`,
            });
            request.destroy();
        });
        request.on("timeout", () => request.destroy(new Error(`no answer within ${timeoutSeconds} s`)));
        // An error of several addresses has its words in its parts.
        request.on("error", (error: Error & { errors?: Error[] }) => {
            resolve({
                serves: false,
                what: error.message.trim() || (error.errors ?? []).map(({ message }) => message).join(", "),
            });
        });
    });
}
