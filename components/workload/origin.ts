import { isIPv4 } from "node:net";
import { rule } from "../validation";

/** The blocks of letters and digits that run from right to left: programs differ about which names may hold which of them. */
const rightToLeft = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/**
 * What keeps a text from being an origin as the node takes it: `scheme://host` or `scheme://host:port`, http or https, or
 * with a port tcp or udp, and nothing else but a single `/`. Undefined when it is one. The text itself is left out: it may hold a password.
 *
 * The node's own rule, krustlet/http/src/origin.rs, is held to the same table: krustlet/http/testdata/origins.json.
 */
export function originFault(text: string): string | undefined {
    if (text.includes("*")) return "there are no wildcards, each host has to be named";
    if (/[?#]/.test(text)) return "it has a query or a fragment";
    if (/[\s\p{Cc}]/u.test(text)) return "it holds white space or a control character";
    if (text.includes("\\")) return "it holds a backslash";
    if (rightToLeft.test(text)) return "it is not in ASCII but from right to left: write its host as xn--…";
    const [, scheme, rest] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/.exec(text) ?? [];
    if (scheme === undefined) return "it does not begin with http:// or https://";
    const slash = rest.indexOf("/");
    const authority = slash < 0 ? rest : rest.slice(0, slash);
    if (slash >= 0 && slash !== rest.length - 1) return "it has a path";
    if (authority.includes("@")) return "it has a user name";
    const known = scheme.toLowerCase();
    if (!["http", "https", "tcp", "udp"].includes(known)) return "its scheme is not http, https, tcp or udp";
    if (authority.includes("%")) return "its host holds a percent sign";
    const [, host, port] = /^(\[[^\]]*\]|(?!\[)[^:]*)(?::(.*))?$/.exec(authority) ?? [];
    if (host === undefined) return "its host is no IPv6 address";
    if (host === "") return "it has no host";
    if (port !== undefined && !(/^\d+$/.test(port) && Number(port) >= 1 && Number(port) <= 65535))
        return "its port is no number from 1 to 65535";
    const fault = hostFault(host);
    if (fault === undefined && port === undefined && ["tcp", "udp"].includes(known))
        return `it has no port, which ${known}:// has to have`;
    return fault;
}

/** The URL standard says what a host means, as it does to the node; what it takes but people read otherwise is refused. */
function hostFault(host: string): string | undefined {
    const meant = hostname(host);
    if (host.startsWith("[")) {
        if (meant === undefined) return "its host is no IPv6 address";
        return isOfAHost(segments(meant.slice(1, -1))) ? undefined : "its host is not the address of a host";
    }
    // What ends in a number is an address: 127.1 and 0x7f.1 are 127.0.0.1.
    if (meant === undefined)
        return /(^|\.)(\d+|0x[\da-f]*)\.?$/i.test(host)
            ? "its host is a number, but no IPv4 address"
            : "its host is no valid name";
    if (isIPv4(meant)) {
        if (meant !== host) return `its host is a number, but not written as ${meant}`;
        return isOfAHostV4(meant.split(".").map(Number))
            ? undefined
            : "its host is not the address of a host";
    }
    const labels = meant.replace(/\.$/, "").split(".");
    const fits = labels.every((label) => /^(?!xn--.*-$)[a-z0-9_-]{1,63}$/.test(label));
    if (!fits || labels.join(".").length > 253) return "its host is no valid name";
    return meant.endsWith(".") ? "its host ends in a dot" : undefined;
}

/** What a host means by the URL standard; undefined: nothing. */
function hostname(host: string): string | undefined {
    try {
        // Not URL.canParse, which misreads some texts once V8 has compiled its callers (Node.js 20).
        return new URL(`http://${host}`).hostname;
    } catch {
        return undefined;
    }
}

/** The eight numbers of an IPv6 address as URLs have it, without a dotted end. */
function segments(address: string): number[] {
    const [before, after] = address.split("::").map((half) =>
        half
            .split(":")
            .filter(Boolean)
            .map((part) => parseInt(part, 16)),
    );
    return after === undefined
        ? before
        : [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}

/** Whether one host may have this address as its own, not unspecified, multicast or broadcast ones: see address.rs. */
function isOfAHost(address: number[]): boolean {
    const begins = (...start: number[]) => start.every((one, index) => one === address[index]);
    const v4 = (high: number, low: number) => isOfAHostV4([high >> 8, high & 255, low >> 8, low & 255]);
    if (begins(0, 0, 0, 0, 0, 0xffff) || begins(0x64, 0xff9b, 0, 0, 0, 0)) return v4(address[6], address[7]);
    if (begins(0x2002)) return v4(address[1], address[2]);
    return address[0] < 0xff00 && address.some((one) => one !== 0);
}

function isOfAHostV4([first]: number[]): boolean {
    return first !== 0 && first < 224;
}

/** An origin that a program may send HTTP requests to, or connect sockets to. */
export const origin = rule<string>((value) => {
    const example = 'give scheme://host or scheme://host:port (for example "https://catfact.ninja")';
    if (typeof value !== "string") return `must be an origin, not ${JSON.stringify(value)}; ${example}`;
    const fault = originFault(value);
    if (fault === undefined) return undefined;
    // A password has no business in an error, also where it was not allowed.
    const shown = value.includes("@") ? "" : ` ${JSON.stringify(value.slice(0, 100))}`;
    return `must be an origin; of${shown || " what was given"}: ${fault}; ${example}`;
}, 'an origin (for example "https://catfact.ninja")');
