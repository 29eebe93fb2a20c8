// Where a container's environment comes from, and what happens while something of it is missing.
import { availableParallelism } from "node:os";
import type { KubeObject } from "../../lib/api";
import type { Container } from "../../lib/pod";
import type { Case } from "../../runCase";
import { configMap, secret } from "../objects";

/** Arguments that print some variables. */
export const show = (...names: string[]) => names.flatMap((name) => ["env", name]);
/** What they print. */
export const shown = (values: Record<string, string>) =>
    Object.entries(values)
        .map(([name, value]) => `${name}=${value}\n`)
        .join("");
const field = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
const resource = (name: string, what: string, divisor?: string) => ({
    name,
    valueFrom: { resourceFieldRef: { resource: what, divisor } },
});
const fromConfigMap = (name: string, map: string, key: string, optional?: boolean) => ({
    name,
    valueFrom: { configMapKeyRef: { name: map, key, optional } },
});
const fromSecret = (name: string, from: string, key: string, optional?: boolean) => ({
    name,
    valueFrom: { secretKeyRef: { name: from, key, optional } },
});

/** A pod that prints variables and ends well. */
function prints(
    name: string,
    main: Partial<Container>,
    values: Record<string, string>,
    objects: KubeObject[] = [],
): Case {
    return {
        name,
        objects,
        args: show(...Object.keys(values)),
        main,
        expect: { phase: "Succeeded", log: shown(values) },
    };
}

/** Where every pod is told that the API server is. */
const apiServer = [
    "KUBERNETES_PORT=tcp://[\\d.]+:443",
    "KUBERNETES_PORT_443_TCP=tcp://[\\d.]+:443",
    "KUBERNETES_PORT_443_TCP_ADDR=[\\d.]+",
    "KUBERNETES_PORT_443_TCP_PORT=443",
    "KUBERNETES_PORT_443_TCP_PROTO=tcp",
    "KUBERNETES_SERVICE_HOST=[\\d.]+",
    "KUBERNETES_SERVICE_PORT=443",
    "KUBERNETES_SERVICE_PORT_HTTPS=443",
];
const lines = (...patterns: string[]) => new RegExp(`^${patterns.join("\\n")}\\n$`);

const sources: Case[] = [
    prints(
        "literals, and $(VAR) in them",
        {
            env: [
                { name: "HOST", value: "example" },
                { name: "URL", value: "http://$(HOST)/$(HOST)" },
                { name: "ESCAPED", value: "$$(HOST)" },
                { name: "UNKNOWN", value: "$(NOBODY)" },
                { name: "LATER", value: "$(LAST)" },
                { name: "LAST", value: "last" },
                { name: "EMPTY" },
                { name: "TWICE", value: "one" },
                { name: "TWICE", value: "two" },
            ],
        },
        {
            HOST: "example",
            URL: "http://example/example",
            ESCAPED: "$(HOST)",
            UNKNOWN: "$(NOBODY)",
            LATER: "$(LAST)",
            LAST: "last",
            EMPTY: "",
            TWICE: "two",
        },
    ),
    {
        name: "command and args, and $(VAR) in them",
        main: {
            env: [{ name: "WORD", value: "hello" }],
            command: ["print", "$(WORD)"],
            args: ["print", "$$(WORD)", "args"],
        },
        expect: { phase: "Succeeded", log: "hello\n$(WORD)\nprobe\nprint\nhello\nprint\n$(WORD)\nargs\n" },
        // It takes the command for a program of the image; a module is its own entry point.
        kubelet: {
            phase: "Failed",
            containers: {
                main: {
                    state: "terminated StartError 128",
                    message: /exec: "print": executable file not found/,
                },
            },
        },
    },
    {
        name: "args, and $(VAR) in them",
        args: ["print", "$(WORD)", "print", "$$(WORD)", "print", "$(NOBODY)"],
        main: { env: [{ name: "WORD", value: "hello" }] },
        expect: { phase: "Succeeded", log: "hello\n$(WORD)\n$(NOBODY)\n" },
    },
    {
        name: "no environment but the pod's, and where the API server is",
        args: ["env-all"],
        main: { env: [{ name: "ONLY", value: "this" }] },
        spec: { enableServiceLinks: false },
        expect: {
            phase: "Succeeded",
            log: lines(...apiServer, "ONLY=this"),
        },
        // A runtime of containers has some of its own.
        kubelet: {
            phase: "Succeeded",
            log: lines("HOME=/", "HOSTNAME=no-environment-.*", ...apiServer, "ONLY=this", "PATH=.*"),
        },
    },
    {
        name: "fieldRef",
        labels: { app: "probe" },
        annotations: { "example.com/note": "two words" },
        args: show(
            "NAME",
            "NAMESPACE",
            "UID",
            "LABEL",
            "ANNOTATION",
            "NO_LABEL",
            "NODE",
            "ACCOUNT",
            "HOST_IP",
        ),
        main: {
            env: [
                field("NAME", "metadata.name"),
                field("NAMESPACE", "metadata.namespace"),
                field("UID", "metadata.uid"),
                field("LABEL", "metadata.labels['app']"),
                field("ANNOTATION", "metadata.annotations['example.com/note']"),
                field("NO_LABEL", "metadata.labels['none']"),
                field("NODE", "spec.nodeName"),
                field("ACCOUNT", "spec.serviceAccountName"),
                field("HOST_IP", "status.hostIP"),
            ],
        },
        expect: ({ metadata }, { place }) => ({
            phase: "Succeeded",
            log: shown({
                NAME: metadata.name,
                NAMESPACE: metadata.namespace ?? "",
                UID: metadata.uid ?? "",
                LABEL: "probe",
                ANNOTATION: "two words",
                NO_LABEL: "",
                NODE: place.nodeName,
                ACCOUNT: "default",
                HOST_IP: place.nodeIp,
            }),
        }),
    },
    prints(
        "resourceFieldRef, in units of its divisor, rounded up",
        {
            resources: {
                requests: { cpu: "250m", memory: "32Mi" },
                limits: { cpu: "1500m", memory: "67108865" },
            },
            env: [
                resource("CPU_LIMIT", "limits.cpu"),
                resource("CPU_REQUEST", "requests.cpu", "1m"),
                resource("MEMORY_LIMIT", "limits.memory"),
                resource("MEMORY_LIMIT_MI", "limits.memory", "1Mi"),
                resource("MEMORY_REQUEST", "requests.memory", "1Mi"),
            ],
        },
        {
            CPU_LIMIT: "2",
            CPU_REQUEST: "250",
            MEMORY_LIMIT: "67108865",
            MEMORY_LIMIT_MI: "65",
            MEMORY_REQUEST: "32",
        },
    ),
    prints(
        "resourceFieldRef without a limit: what the node has",
        { env: [resource("CPU_LIMIT", "limits.cpu")] },
        { CPU_LIMIT: String(availableParallelism()) },
    ),
    prints(
        "configMapKeyRef and secretKeyRef",
        {
            env: [
                fromConfigMap("COLOUR", "env-map", "colour"),
                fromSecret("PASSWORD", "env-secret", "password"),
            ],
        },
        { COLOUR: "red", PASSWORD: "s3cret" },
        [configMap("env-map", { colour: "red" }), secret("env-secret", { password: "s3cret" })],
    ),
    prints(
        "envFrom with prefixes; later ones win, and env over them",
        {
            envFrom: [
                { configMapRef: { name: "from-first" } },
                { configMapRef: { name: "from-second" } },
                { prefix: "S_", secretRef: { name: "from-secret" } },
            ],
            env: [
                { name: "C", value: "own" },
                { name: "SUM", value: "$(A)+$(S_A)" },
            ],
        },
        { A: "first", B: "second", C: "own", S_A: "secret", SUM: "first+secret" },
        [
            configMap("from-first", { A: "first", B: "first", C: "first" }),
            configMap("from-second", { B: "second" }),
            secret("from-secret", { A: "secret" }),
        ],
    ),
    {
        name: "optional references that lead nowhere",
        args: [...show("MAP", "KEY", "SECRET"), "print", "on"],
        objects: [configMap("optional-map", { there: "yes" })],
        main: {
            envFrom: [
                { configMapRef: { name: "nowhere", optional: true } },
                { secretRef: { name: "nowhere", optional: true } },
            ],
            env: [
                fromConfigMap("MAP", "nowhere", "x", true),
                fromConfigMap("KEY", "optional-map", "x", true),
                fromSecret("SECRET", "nowhere", "x", true),
            ],
        },
        expect: {
            phase: "Succeeded",
            log: "MAP is not set\nKEY is not set\nSECRET is not set\non\n",
        },
    },
];

interface Missing {
    what: string;
    main: Partial<Container>;
    message: RegExp;
    /** What is there from the beginning. */
    before?: KubeObject[];
    /** What mends it. */
    make?: KubeObject;
    change?: KubeObject;
}

const missing: Missing[] = [
    {
        what: "a config map",
        main: { env: [fromConfigMap("X", "late-map", "x")] },
        message: /configmap "late-map" not found/,
        make: configMap("late-map", { x: "here" }),
    },
    {
        what: "a key of a config map",
        main: { env: [fromConfigMap("X", "keyless-map", "x")] },
        message: /couldn't find key x in ConfigMap \S+\/keyless-map/,
        before: [configMap("keyless-map", { y: "other" })],
        change: configMap("keyless-map", { x: "here" }),
    },
    {
        what: "a secret",
        main: { env: [fromSecret("X", "late-secret", "x")] },
        message: /secret "late-secret" not found/,
        make: secret("late-secret", { x: "here" }),
    },
    {
        what: "a key of a secret",
        main: { env: [fromSecret("X", "keyless-secret", "x")] },
        message: /couldn't find key x in Secret \S+\/keyless-secret/,
        before: [secret("keyless-secret", { y: "other" })],
        change: secret("keyless-secret", { x: "here" }),
    },
    {
        what: "a config map of envFrom",
        main: { envFrom: [{ configMapRef: { name: "late-from" } }] },
        message: /configmap "late-from" not found/,
        make: configMap("late-from", { X: "here", x: "unused" }),
    },
    {
        what: "a secret of envFrom",
        main: { envFrom: [{ secretRef: { name: "late-secret-from" } }] },
        message: /secret "late-secret-from" not found/,
        make: secret("late-secret-from", { X: "here" }),
    },
];

const waiting: Case[] = missing.map(({ what, main, message, before = [], make, change }) => ({
    name: `without ${what}: CreateContainerConfigError, until it is there`,
    objects: before,
    args: show("X"),
    main,
    expect: {
        phase: "Pending",
        conditions: { Initialized: "True", Ready: "False ContainersNotReady" },
        containers: {
            main: {
                state: "waiting CreateContainerConfigError",
                message,
                restarts: 0,
                last: "",
                ready: false,
            },
        },
        notes: [new RegExp(`^Warning Failed: Error: .*${message.source}`)],
    },
    then: [
        {
            make: make && [make],
            change: change && [change],
            expect: {
                phase: "Succeeded",
                containers: { main: { state: "terminated Completed 0", restarts: 0 } },
                log: "X=here\n",
                withinSeconds: 75,
            },
        },
    ],
}));

const refused: Case[] = [
    {
        name: "the address of a pod, which has none: CreateContainerConfigError",
        main: { env: [field("IP", "status.podIP")] },
        expect: {
            phase: "Pending",
            containers: { main: { state: "waiting CreateContainerConfigError", message: /IP address/ } },
        },
        // There every pod has one.
        kubelet: { phase: "Succeeded" },
    },
];

export const environmentCases: readonly Case[] = [...sources, ...waiting, ...refused];
