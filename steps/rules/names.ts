import { isIP } from "node:net";
import { also, list, map, matching, plain, rule, text, type Problem } from "./vocabulary";

// What this field allows for names and paths, each said once. Letters and lengths are those of the programs that get the value.

/** Parts of a host's or an object's name, with dots between them (RFC 1123). */
const dnsPart = "[a-z0-9]([a-z0-9-]*[a-z0-9])?";
const dnsParts = new RegExp(`^${dnsPart}(\\.${dnsPart})*$`);
const dnsWords = (example: string) =>
    `lower-case letters, digits, "-" and "." that begin and end with a letter or digit (for example "${example}")`;

/** kind makes host names of it (`<name>-control-plane`), which end at 63 characters. */
export const clusterName = matching(dnsParts, dnsWords("krustlet"), 49);

/** minikube and k3d make names of hosts and files of it, each with a beginning or an end of its own. */
export const localClusterName = matching(
    new RegExp(`^${dnsPart}$`),
    'lower-case letters, digits and "-" that begin and end with a letter or digit (for example "krustlet")',
    32,
);

/** Kubernetes' own. */
export const kubernetesVersion = matching(
    /^v?\d+\.\d+(\.\d+([+-][0-9A-Za-z.-]+)?)?$/,
    'a Kubernetes version (for example "v1.36.4")',
);

/** A node's name is its host name too, and the value of the label `kubernetes.io/hostname`. */
export const nodeName = also(matching(dnsParts, dnsWords("krustlet"), 63), (name) =>
    /(^|\.)\d+$/.test(name)
        ? 'a certificate can name no host whose last part is a number; add a letter (for example "krustlet-1")'
        : undefined,
);

/** A DNS label (RFC 1123): names of containers and namespaces. */
export const dnsLabel = matching(
    new RegExp(`^${dnsPart}$`),
    'lower-case letters, digits and "-" that begin and end with a letter or digit (for example "hello-wasm")',
    63,
);

/** A DNS subdomain (RFC 1123): names of config maps, secrets and most other objects. */
export const objectName = matching(
    dnsParts,
    'the name of an object: lower-case letters, digits, "-" and "." (for example "settings")',
    253,
);

/** Docker's own rule. */
export const containerName = matching(
    /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/,
    'a container\'s name of letters, digits, "_", "." and "-" (for example "registry")',
);

/** Whose things these are, as a stack tells its steps. */
export const owner = matching(
    /^[\w.-]+(\/[\w.-]+)*$/,
    'an owner: <project>/<stack> of letters, digits, "-", "_" and "."',
);

/** The group of a bootstrap token, as Kubernetes allows it. */
export const bootstrapGroup = matching(
    /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/,
    'a group that begins with system:bootstrappers: and goes on with lower-case letters, digits, ":" and "-"',
);

export const ipv4 = matching(
    /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/,
    'an IPv4 address (for example "172.18.0.1")',
);

/** A file or folder whose path comes to stand in KUBECONFIG, where ":" is between paths. */
export const kubeconfigPath = matching(
    /^[^:]+$/,
    'a path without ":", which KUBECONFIG has between paths (for example "~/krustlet/node")',
);

/** Folders of the host that pods may mount. The agent takes them as one list, separated by commas. */
export const hostPaths = list(
    matching(/^\/[^,]*$/, 'an absolute path without a comma (for example "/srv/data")'),
);

/** Ranges of addresses that a node opens to its pods, as the agent reads them. */
export const egressRanges = list(
    also(
        matching(
            /^[0-9a-fA-F.:]+(\/\d{1,3})?$/,
            'an IPv4 or IPv6 address, with /PREFIX for a range (for example "127.0.0.1" or "10.0.0.0/8")',
        ),
        (range) => {
            const [address, prefix] = range.split("/");
            const bits = { 4: 32, 6: 128 }[isIP(address)];
            return bits === undefined || Number(prefix ?? 0) > bits
                ? "there is no such address or range"
                : undefined;
        },
    ),
);

const otlpBase =
    'the base URL of a collector\'s OTLP over HTTP, without user name, query and /v1/traces, in its path only letters, digits and "._~%/-" (for example "http://localhost:4318")';

/** Where a node sends spans, as the agent reads it. It is not shown where it may hold a password or a key. */
export const otlpEndpoint = rule<string>((value) => {
    if (typeof value === "string" && isOtlpBase(value)) return undefined;
    const shown = typeof value === "string" && /[@?#]/.test(value) ? "" : `, not ${JSON.stringify(value)}`;
    return `must be ${otlpBase}${shown}`;
}, otlpBase);

function isOtlpBase(text: string): boolean {
    // The standard takes more for a host than the agent does.
    const plain = /^https?:\/\/[^\s/?#@\\%*]+(\/[\w.~%/-]*)?$/i;
    if (!plain.test(text) || /\/v1\/traces\/*$/.test(text) || !URL.canParse(text)) return false;
    const { hostname, port } = new URL(text);
    return port !== "0" && !["0.0.0.0", "[::]"].includes(hostname);
}

/** Name of a Service (RFC 1035): unlike other objects' it begins with a letter. */
export const serviceName = matching(
    /^[a-z]([a-z0-9-]*[a-z0-9])?$/,
    'the name of a Service: lower-case letters, digits and "-", a letter first (for example "hello-http")',
    63,
);

/** Name of a port, as IANA has them. */
export const portName = matching(
    /^(?=.*[a-z])(?!.*--)[a-z0-9]([a-z0-9-]*[a-z0-9])?$/,
    'a port\'s name of lower-case letters, digits and single "-", a letter among them (for example "http")',
    15,
);

/** Path of a URL, with a query perhaps, as it stands in a request. */
export const urlPath = matching(
    /^\/[!-~]*$/,
    'a path of printable ASCII characters that begins with "/" (for example "/healthz")',
);

/** Where a volume is seen. Kubernetes allows no ":" in it. */
export const mountPath = matching(/^\/[^:]*$/, 'an absolute path without ":" (for example "/etc/settings")');

/** A folder of the node's host. Kubernetes allows no ".." in it. */
export const hostPath = matching(
    /^\/(?!(.*\/)?\.\.(\/|$)).*$/,
    'an absolute path without ".." (for example "/srv/data")',
);

/** A name of a label or an annotation, perhaps with a domain before it. */
const qualifiedName = (what: string) =>
    matching(
        /^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$/,
        `${what}'s name (for example "example.com/zone")`,
    );

export const labels = map(
    matching(/^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$/, "a label's value", 63),
    qualifiedName("a label"),
);

/** A text, the empty one too. */
const anyText = matching(/^[^]*$/, "a text (put it in quotes)");

export const annotations = map(anyText, qualifiedName("an annotation"));

/** As Kubernetes has it since 1.32, and the node agent. */
export const variable = matching(
    /^[ -<>-~]+$/,
    'an environment variable\'s name of printable ASCII characters but "=" (for example "RUST_LOG")',
);

export const environment = map(anyText, variable);

/** A key of a config map or a secret. */
export const dataKey = matching(
    /^(?!\.\.)[A-Za-z0-9._-]+$/,
    'a key of letters, digits, "-", "_" and "." (for example "password")',
    253,
);

export const texts = list(text);

/** Problems of values that must differ from each other: two nodes with one port, two workloads with one name. */
export function duplicates(path: (index: number) => string, values: unknown[], hint: string): Problem[] {
    return values.flatMap((value, index) => {
        const first = values.indexOf(value);
        if (first === index || (typeof value !== "string" && typeof value !== "number")) return [];
        return [
            {
                path: path(index),
                message: `is ${JSON.stringify(value)} again, as ${path(first)} is; ${hint}`,
                discreet: `is the same as ${path(first)}; ${hint}`,
            },
        ];
    });
}

/** The well-formed items of a list, undefined in the place of others; what is wrong with those has been said. */
export function items<T extends object>(given: T[] | undefined): (T | undefined)[] {
    if (!Array.isArray(given)) return [];
    return given.map((item) => (typeof item === "object" && item !== null ? item : undefined));
}

/** What is wrong where exactly one of some properties must be given. `why` goes on from their names. */
export function exactlyOne(args: object, choices: readonly string[], path: string, why: string): Problem[] {
    const given = choices.filter((choice) => (args as Record<string, unknown>)[choice] !== undefined);
    if (given.length === 1) return [];
    const quoted = (names: readonly string[], between: string) =>
        names.map((one) => JSON.stringify(one)).join(between);
    const found = given.length === 0 ? "none is" : `${quoted(given, " and ")} are`;
    return [plain(path, `exactly one of ${quoted(choices, ", ")} ${why}; ${found} given`)];
}
