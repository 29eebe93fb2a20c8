import { list, map, matching, rule, integer, text, type Problem } from "./validation";

// What this field allows, each said once. Lengths and letters are those of the programs that get the value.

/** kind makes host names of it (`<name>-control-plane`), which end at 63 characters. */
export const clusterName = matching(
    /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/,
    'lower-case letters, digits, "-" and "." that begin and end with a letter or digit (for example "krustlet")',
    49,
);

/** A node's name is its host name too, and the value of the label `kubernetes.io/hostname`. */
export const nodeName = matching(
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
    'lower-case letters, digits, "-" and "." that begin and end with a letter or digit (for example "krustlet")',
    63,
);

/** A DNS label (RFC 1123): names of containers and namespaces. */
export const dnsLabel = matching(
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/,
    'lower-case letters, digits and "-" that begin and end with a letter or digit (for example "hello-wasm")',
    63,
);

/** A DNS subdomain (RFC 1123): names of most Kubernetes objects. */
export const dnsName = matching(
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
    'lower-case letters, digits, "-" and "." that begin and end with a letter or digit (for example "pull")',
    253,
);

/** Docker's own rule. */
export const containerName = matching(
    /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/,
    'a container\'s name of letters, digits, "_", "." and "-" (for example "registry")',
);

export const port = integer(1, 65535);

/** A time that something may take. */
export const seconds = integer(1, 3600);

/** Life of a certificate in seconds: a signer gives no less than ten minutes, and a node needs no more than a year. */
export const certificateSeconds = integer(600, 31_622_400);

/** Kubernetes' own limits for a bootstrap token: it is cleaned up when it ends, so a short one is fine. */
export const tokenSeconds = integer(60, 24 * 3600);

export const ipv4 = matching(
    /^((25[0-5]|2[0-4]\d|1?\d?\d)(\.(?!$)|$)){4}$/,
    'an IPv4 address (for example "172.18.0.1")',
);

/** `host` or `host:port`. */
const hostPort = /^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?/;

export const registry = matching(
    new RegExp(`${hostPort.source}$`),
    'a registry as host or host:port, without a scheme (for example "localhost:5001" or "ghcr.io")',
);

export const registries = list(registry);

/** A registry, possibly with the beginning of the repository's name. */
export const registryWithPath = matching(
    new RegExp(`${hostPort.source}(/[a-z0-9]+([._-]+[a-z0-9]+)*)*$`),
    'a registry, possibly with a path, without a scheme (for example "ghcr.io/you")',
);

/** Folders of the host that pods may mount. The agent takes them as one list, separated by commas. */
export const hostPaths = list(
    matching(/^\/[^,]*$/, 'an absolute path without a comma (for example "/srv/data")'),
);

export const repository = matching(
    /^[a-z0-9]+([._-]+[a-z0-9]+)*(\/[a-z0-9]+([._-]+[a-z0-9]+)*)*$/,
    'lower-case letters, digits, ".", "_", "-" and "/" (for example "demo/hello-wasm")',
    200,
);

export const tag = matching(
    /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/,
    'a tag of letters, digits, ".", "_" and "-" (for example "v1")',
);

/** An artifact that is in a registry already. */
export const artifactReference = matching(
    /^[^\s@]+\/[^\s@:]+(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127}|@sha256:[0-9a-f]{64})$/,
    'a reference with its registry and a tag or a digest (for example "ghcr.io/you/hello-wasm:v1")',
);

/** An image by digest: what it names never changes, so a new image is a new value. */
export const imageByDigest = matching(
    /^[^\s@]+\/[^\s@]+@sha256:[0-9a-f]{64}$/,
    'a reference by digest (for example "ghcr.io/you/hello-wasm@sha256:…", 64 hex digits)',
);

export const image = matching(/^[^\s]+$/, 'the name of an image (for example "registry:3.1.2")');

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
const anyText = rule((value) =>
    typeof value === "string" ? undefined : `must be a text (put it in quotes), not ${JSON.stringify(value)}`,
);

export const annotations = map(anyText, qualifiedName("an annotation"));

/** Kubernetes' own rule since 1.32, and the node agent's. */
export const variable = matching(
    /^[ -<>-~]+$/,
    'an environment variable\'s name of printable ASCII characters but "=" (for example "RUST_LOG")',
);

export const environment = map(anyText, variable);

/** A DNS subdomain (RFC 1123): names of config maps, secrets and most other objects. */
export const objectName = matching(
    /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/,
    'the name of an object: lower-case letters, digits, "-" and "." (for example "settings")',
    253,
);

/** A key of a config map or a secret. */
export const dataKey = matching(
    /^(?!\.\.)[A-Za-z0-9._-]+$/,
    'a key of letters, digits, "-", "_" and "." (for example "password")',
    253,
);

/** Where a volume is seen. Kubernetes allows no ":" in it. */
export const mountPath = matching(/^\/[^:]*$/, 'an absolute path without ":" (for example "/etc/settings")');

/** A folder of the node's host. Kubernetes allows no ".." in it. */
export const hostPath = matching(
    /^\/(?!(.*\/)?\.\.(\/|$)).*$/,
    'an absolute path without ".." (for example "/srv/data")',
);

/** A quantity of processors. */
export const processors = matching(
    /^(\d+(\.\d*)?|\.\d+)(m|[eE][+-]?\d+)?$/,
    'a quantity of processors (for example "250m", a quarter of one)',
);

/** A quantity of bytes. Kubernetes would take thousandths of one, too: "64m" is a slip of "64M". */
export const bytes = matching(
    /^(\d+(\.\d*)?|\.\d+)([kMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?$/,
    'a quantity of bytes (for example "64Mi")',
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
            },
        ];
    });
}
