// Through which HTTP proxy a URL is reached, as Go's and Docker's clients decide it, and how.
import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { BlockList, isIP } from "node:net";
import type { Duplex } from "node:stream";
import * as tls from "node:tls";

/** Whether a host, as a URL names it, is this machine. It is never reached through the environment's proxy. */
export function isLoopbackHost(host: string): boolean {
    const bare = host.replace(/^\[|\]$/g, "").toLowerCase();
    return bare === "localhost" || bare === "::1" || (isIP(bare) === 4 && bare.startsWith("127."));
}

/**
 * The proxy that the environment names for a URL: `HTTPS_PROXY` or `HTTP_PROXY`, unless `NO_PROXY` excepts it; each in lower case
 * too. Undefined: none. An address without a scheme is taken as `http://`.
 */
export function proxyOf(url: URL, environment: NodeJS.ProcessEnv = process.env): URL | undefined {
    const set = (name: string) => environment[name] || environment[name.toLowerCase()] || undefined;
    const proxy = set(url.protocol === "https:" ? "HTTPS_PROXY" : "HTTP_PROXY");
    if (proxy === undefined || isLoopbackHost(url.hostname)) return undefined;
    return isExcepted(url, set("NO_PROXY") ?? "") ? undefined : proxyUrl(proxy);
}

/** The authorities that a program here trusts beside Node.js' own: those in `SSL_CERT_FILE`. Throws what is wrong with that. */
export function hostAuthorities(environment: NodeJS.ProcessEnv = process.env): string[] {
    const file = environment.SSL_CERT_FILE;
    if (!file) return [];
    try {
        return [readFileSync(file, "utf8")];
    } catch (error) {
        throw new Error(`SSL_CERT_FILE: ${(error as Error).message}`, { cause: error });
    }
}

/** The proxy at an address; an error that does not repeat it, for it may hold a password. */
export function proxyUrl(address: string): URL {
    const withScheme = address.includes("://") ? address : `http://${address}`;
    const url = URL.canParse(withScheme) ? new URL(withScheme) : undefined;
    if (url === undefined || !["http:", "https:"].includes(url.protocol) || url.hostname === "")
        throw new Error(
            "the proxy's address must be http://HOST:PORT or https://HOST:PORT; no other kind is served",
        );
    return url;
}

/** Whether `NO_PROXY` (hosts, `.domains`, addresses, `address/bits`, each with a port or without; `*`: all) names a URL's host. */
function isExcepted(url: URL, exceptions: string): boolean {
    const host = url.hostname.replace(/^\[|\]$/g, "").toLowerCase();
    const port = url.port || (url.protocol === "https:" ? "443" : "80");
    return exceptions
        .split(",")
        .map((one) => one.trim().toLowerCase())
        .filter(Boolean)
        .some((one) => {
            if (one === "*") return true;
            if (one.includes("/")) return isWithin(host, one);
            const withPort = /^(.*[^:]):(\d+)$/.exec(one);
            if (withPort !== null && isIP(one) === 0) {
                if (withPort[2] !== port) return false;
                one = withPort[1];
            }
            const bare = one.replace(/^\[|\]$/g, "").replace(/^\*(?=\.)/, "");
            if (isIP(bare) !== 0) return isWithin(host, `${bare}/${isIP(bare) === 4 ? 32 : 128}`);
            if (isIP(host) !== 0) return false;
            return bare.startsWith(".") ? host.endsWith(bare) : host === bare || host.endsWith(`.${bare}`);
        });
}

function isWithin(host: string, range: string): boolean {
    const [address, bits] = range.split("/");
    const [family, own] = [isIP(address), isIP(host)];
    if (family === 0 || family !== own || !/^\d+$/.test(bits)) return false;
    const list = new BlockList();
    const name = family === 4 ? "ipv4" : "ipv6";
    try {
        list.addSubnet(address, Number(bits), name);
    } catch {
        return false;
    }
    return list.check(host, name);
}

/** An agent whose TLS connections go through a proxy, by CONNECT. */
export class TunnelAgent extends https.Agent {
    constructor(
        private readonly proxy: URL,
        options: https.AgentOptions,
    ) {
        super(options);
    }

    override createConnection(
        options: https.RequestOptions,
        callback?: (error: Error | null, socket: Duplex) => void,
    ): undefined {
        // Node.js passes no socket beside an error.
        const done = callback as (error: Error | null, socket?: Duplex) => void;
        const [host, port] = [options.host ?? "", options.port ?? 443];
        const authority = `${host.includes(":") ? `[${host}]` : host}:${port}`;
        const { username, password } = this.proxy;
        const login = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
        const request = (this.proxy.protocol === "https:" ? https : http).request({
            host: this.proxy.hostname.replace(/^\[|\]$/g, ""),
            port: this.proxy.port || (this.proxy.protocol === "https:" ? 443 : 80),
            method: "CONNECT",
            path: authority,
            agent: false,
            headers: {
                host: authority,
                ...(username === ""
                    ? {}
                    : { "proxy-authorization": `Basic ${Buffer.from(login).toString("base64")}` }),
            },
        });
        request.on("connect", ({ statusCode }, socket) => {
            if (statusCode === 200) {
                done(null, tls.connect({ ...(options as tls.ConnectionOptions), socket }));
                return;
            }
            socket.destroy();
            done(new Error(`proxy ${this.proxy.host} answered ${statusCode} to CONNECT ${authority}`));
        });
        request.on("error", (error: NodeJS.ErrnoException) => {
            done(new Error(`proxy ${this.proxy.host}: ${error.message}`, { cause: error }));
        });
        request.setTimeout(10_000, () => request.destroy(new Error("it did not answer within 10 s")));
        request.end();
        return undefined;
    }
}
