/**
 * Checks of a step's input: what each field must be, in a few words that also serve as its usage text.
 * All the faults of an input are found at once.
 */
export interface Check<T> {
    /** What is allowed, to be read after "must be ". */
    readonly allowed: string;
    /** Whether the field may be missing. */
    readonly optional?: boolean;
    /** The faults of a value found at `path`; none means that it is a T. */
    faults(value: unknown, path: string): string[];
    /** Never there: it ties the check to its type. */
    readonly type?: T;
}

/** An input's fields: each one of the interface has its check, and no other does. */
export type Fields<T> = { [K in keyof T]-?: Check<T[K]> };

function check<T>(allowed: string, fits: (value: unknown) => boolean, show = true): Check<T> {
    return {
        allowed,
        faults: (value, path) =>
            fits(value)
                ? []
                : [`${path}: ${show ? given(value) : "the value"} does not fit; it must be ${allowed}`],
    };
}

function given(value: unknown): string {
    if (value === undefined) return "nothing";
    const text = JSON.stringify(value);
    return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

/** A text that is not empty. */
export const text = check<string>(
    "a text that is not empty",
    (value) => typeof value === "string" && value !== "",
);

/** A text that is never shown. */
export const secret = check<string>(
    "a text that is not empty (a secret, so it is not shown)",
    (value) => typeof value === "string" && value !== "",
    false,
);

/** A text that a pattern describes; `allowed` says the same in words. */
export function matching(pattern: RegExp, allowed: string): Check<string> {
    return check(allowed, (value) => typeof value === "string" && pattern.test(value));
}

/** A whole number in bounds. */
export function integer(least: number, most: number): Check<number> {
    return check(
        `a whole number from ${least} to ${most}`,
        (value) => Number.isInteger(value) && Number(value) >= least && Number(value) <= most,
    );
}

/** A name that Kubernetes takes for a node: a DNS subdomain that is also a label's value. */
export const nodeName = matching(
    /^(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/,
    "a node name: at most 63 lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit",
);

/** A port that a server can listen on. */
export const port = integer(1, 65535);

/** Id of a process, as Linux gives them out. */
export const processId = integer(1, 4_194_304);

/** `true` or `false` */
export const flag = check<boolean>("true or false", (value) => typeof value === "boolean");

/** An IPv4 address. */
export const ipv4 = matching(
    /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/,
    "an IPv4 address, such as 172.18.0.1",
);

/** `<project>/<stack>` */
export const owner = matching(
    /^[\w.-]+(\/[\w.-]+)*$/,
    "an owner: <project>/<stack> of letters, digits, '-', '_' and '.'",
);

/** `host` or `host:port` */
export const registry = matching(
    /^[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?(:\d{1,5})?$/,
    "a registry: host or host:port, without scheme and path",
);

/** A folder of the host that pods may mount. The agent takes a list of them, separated by commas. */
export const hostPath = matching(/^\/[^,]*$/, "an absolute path without a comma, such as /srv/data");

/** The group of a bootstrap token, as Kubernetes allows it. */
export const bootstrapGroup = matching(
    /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/,
    "a group that begins with system:bootstrappers: and goes on with lower-case letters, digits, ':' and '-'",
);

/** Life of a certificate in seconds: a signer gives no less than ten minutes, and a node needs no more than a year. */
export const certificateSeconds = integer(600, 31_622_400);

/** SHA-256 in hex. */
export const sha256Hex = matching(/^[0-9a-f]{64}$/, "a SHA-256 of 64 hex digits");

/** What tells one login from another, or null where there is none. Never shown. */
export const fingerprint = check<string | null>(
    "a fingerprint of a login, or null (it is not shown)",
    (value) => value === null || (typeof value === "string" && value !== ""),
    false,
);

/** One of a few words. */
export function oneOf<T extends string>(words: readonly T[]): Check<T> {
    return check(`one of ${words.join(", ")}`, (value) => words.some((word) => word === value));
}

/** May be missing. */
export function optional<T>(inner: Check<T>): Check<T | undefined> {
    return {
        allowed: inner.allowed,
        optional: true,
        faults: (value, path) => (value === undefined ? [] : inner.faults(value, path)),
    };
}

/** A list of which each item passes `item`. */
export function list<T>(item: Check<T>): Check<T[]> {
    return {
        allowed: `a list, each item ${item.allowed}`,
        faults: (value, path) =>
            Array.isArray(value)
                ? value.flatMap((one, index) => item.faults(one, `${path}[${index}]`))
                : [`${path}: ${given(value)} does not fit; it must be a list`],
    };
}

/** Names with texts. */
export const textMap: Check<Record<string, string>> = {
    allowed: "an object whose values are texts",
    faults: (value, path) =>
        isObject(value)
            ? Object.entries(value).flatMap(([key, one]) =>
                  typeof one === "string"
                      ? []
                      : [`${path}[${JSON.stringify(key)}]: ${given(one)} is no text`],
              )
            : [`${path}: ${given(value)} does not fit; it must be an object whose values are texts`],
};

/** An object of exactly these fields. */
export function object<T extends object>(fields: Fields<T>): Check<T> & { fields: Fields<T> } {
    const names = Object.keys(fields);
    return {
        fields,
        allowed: `an object of ${names.join(", ")}`,
        faults: (value, path) => {
            if (!isObject(value))
                return [`${path}: ${given(value)} does not fit; it must be an object of ${names.join(", ")}`];
            const unknown = Object.keys(value)
                .filter((name) => !names.includes(name))
                .map((name) => `${path}.${name}: no such field; known are ${names.join(", ")}`);
            const wrong = Object.entries<Check<unknown>>(fields).flatMap(([name, field]) => {
                if (value[name] === undefined && !field.optional)
                    return [`${path}.${name}: missing; it must be ${field.allowed}`];
                return field.faults(value[name], `${path}.${name}`);
            });
            return [...unknown, ...wrong];
        },
    };
}

/** The fields of an object with what each may be, one a line. */
export function describe<T extends object>(input: { fields: Fields<T> }): string {
    return Object.entries<Check<unknown>>(input.fields)
        .map(([name, field]) => `  ${name}${field.optional ? " (optional)" : ""}: ${field.allowed}`)
        .join("\n");
}

function isObject(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}
