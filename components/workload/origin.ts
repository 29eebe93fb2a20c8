import { isIPv4, isIPv6 } from "node:net";
import { domainToASCII } from "node:url";
import { rule } from "../validation";

/**
 * What keeps a text from being an origin as the node takes it: `scheme://host` or `scheme://host:port`, http or https, and
 * nothing else but a single `/`. Undefined when it is one. The text itself is left out: it may hold a password.
 */
export function originFault(text: string): string | undefined {
    if (/[\s\p{Cc}]/u.test(text)) return "it holds white space or a control character";
    if (text.includes("\\")) return "it holds a backslash";
    if (text.includes("*")) return "there are no wildcards, each host has to be named";
    if (/[?#]/.test(text)) return "it has a query or a fragment";
    const [, scheme, rest] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/(.*)$/.exec(text) ?? [];
    if (scheme === undefined) return "it does not begin with http:// or https://";
    if (!["http", "https"].includes(scheme.toLowerCase())) return "its scheme is not http or https";
    const slash = rest.indexOf("/");
    const authority = slash < 0 ? rest : rest.slice(0, slash);
    if (slash >= 0 && slash !== rest.length - 1) return "it has a path";
    if (authority.includes("@")) return "it has a user name";
    if (authority.includes("%")) return "its host holds a percent sign";
    const [, host, port] = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(authority) ?? [];
    if (host === undefined || host === "") return "it has no host";
    if (port !== undefined && !(/^\d+$/.test(port) && Number(port) >= 1 && Number(port) <= 65535))
        return "its port is no number from 1 to 65535";
    return hostFault(host);
}

function hostFault(host: string): string | undefined {
    if (host.startsWith("[")) {
        const address = host.slice(1, -1);
        if (!isIPv6(address)) return "its host is no IPv6 address";
        return /^[fF]{2}/.test(address) || /^[0:]+$/.test(address)
            ? "its host is no address of one host"
            : undefined;
    }
    if (host.endsWith(".") && !/\d\.$/.test(host)) return "its host ends in a dot";
    // What ends in a number is an address: programs that read it loosely take 127.1 and 0x7f.1 for one.
    if (/(^|\.)(\d+|0[xX][0-9a-fA-F]*)\.?$/.test(host)) {
        const plain = isIPv4(host) && host.split(".").every((part) => String(Number(part)) === part);
        if (!plain) return "its host is a number, but no IPv4 address of four decimal numbers";
        const first = Number(host.split(".")[0]);
        return first === 0 || first >= 224 ? "its host is no address of one host" : undefined;
    }
    const ascii = domainToASCII(host);
    const labels = ascii.split(".");
    const fits = labels.every((label) => /^[A-Za-z0-9_-]{1,63}$/.test(label));
    return ascii === "" || ascii.length > 253 || !fits ? "its host is no valid name" : undefined;
}

/** An origin that a program may send HTTP requests to. */
export const origin = rule<string>((value) => {
    const example = 'give scheme://host or scheme://host:port (for example "https://catfact.ninja")';
    if (typeof value !== "string") return `must be an origin, not ${JSON.stringify(value)}; ${example}`;
    const fault = originFault(value);
    if (fault === undefined) return undefined;
    // A password has no business in an error, also where it was not allowed.
    const shown = value.includes("@") ? "" : ` ${JSON.stringify(value.slice(0, 100))}`;
    return `must be an origin; of${shown || " what was given"}: ${fault}; ${example}`;
}, 'an origin (for example "https://catfact.ninja")');
