// Volumes that hold what is in the cluster: config maps, secrets, the pod's own fields and tokens.
import type { Case, Outcome } from "../../runCase";
import { configMap, secret } from "../objects";
import { at, reads, volume } from "../mounting";

const colours = configMap("colours", { red: "#f00\n", blue: "#00f\n" }, { raw: "AAEC" });
const password = secret("password", { user: "me", password: "s3cret" });

const waitsForVolume = (message: string | RegExp): Outcome => ({
    phase: "Pending",
    containers: { main: { state: "waiting ContainerCreating", message, restarts: 0 } },
    notes: [/^Warning FailedMount: .*configmap "late-volume" not found/],
});

const configMaps: Case[] = [
    reads(
        "configMap: every key is a file",
        { configMap: { name: "colours" } },
        ["ls", "/v", "cat", "/v/red", "cat", "/v/blue"],
        "blue\nraw\nred\n#f00\n#00f\n",
        { objects: [colours] },
    ),
    reads(
        "configMap: items, at paths of their own",
        { configMap: { name: "items-map", items: [{ key: "a", path: "deep/er/b" }] } },
        ["ls", "/v", "ls", "/v/deep", "cat", "/v/deep/er/b"],
        "deep/\ner/\nA\n",
        { objects: [configMap("items-map", { a: "A", other: "no" })] },
    ),
    reads(
        "configMap: optional and not there: an empty folder",
        { configMap: { name: "nowhere", optional: true } },
        ["ls", "/v", "print", "nothing"],
        "nothing\n",
    ),
    reads(
        "configMap: an optional key that is not there",
        { configMap: { name: "one-key", optional: true, items: [{ key: "none", path: "x" }] } },
        ["ls", "/v", "print", "nothing"],
        "nothing\n",
        { objects: [configMap("one-key", { a: "A" })] },
    ),
    {
        name: "configMap: not there: the pod waits, and goes on when it is",
        args: ["cat", "/v/a"],
        main: at("/v"),
        spec: volume({ configMap: { name: "late-volume" } }),
        expect: waitsForVolume(
            /^MountVolume.SetUp failed for volume "v" : configmap "late-volume" not found/,
        ),
        // It says so in the event alone.
        kubelet: waitsForVolume(""),
        then: [
            {
                make: [configMap("late-volume", { a: "there" })],
                expect: { phase: "Succeeded", log: "there\n", withinSeconds: 75 },
            },
        ],
    },
    {
        name: "configMap: a key that is not there: the pod waits",
        main: at("/v"),
        objects: [configMap("key-volume", { a: "A" })],
        spec: volume({ configMap: { name: "key-volume", items: [{ key: "none", path: "x" }] } }),
        expect: {
            phase: "Pending",
            containers: { main: { state: "waiting ContainerCreating" } },
            notes: [/^Warning FailedMount: .*none/],
        },
    },
    reads(
        "subPath: one file of a volume",
        { configMap: { name: "sub-map" } },
        ["cat", "/v/one.txt"],
        "one\n",
        {
            objects: [configMap("sub-map", { one: "one", two: "two" })],
            mount: { mountPath: "/v/one.txt", subPath: "one" },
        },
    ),
    {
        name: "what is in a configMap cannot be written",
        args: ["write", "/v/red", "black"],
        objects: [configMap("read-only-map", { red: "#f00" })],
        main: at("/v"),
        spec: volume({ configMap: { name: "read-only-map" } }),
        expect: {
            phase: "Failed",
            containers: { main: { state: "terminated Error 74" } },
            log: /^probe: write: .*(not permitted|[Rr]ead-only|denied)/,
        },
    },
];

const secrets: Case[] = [
    reads(
        "secret: every key is a file",
        { secret: { secretName: "password" } },
        ["ls", "/v", "cat", "/v/password"],
        "password\nuser\ns3cret\n",
        { objects: [password] },
    ),
    reads(
        "secret: items",
        { secret: { secretName: "item-secret", items: [{ key: "a", path: "b" }] } },
        ["ls", "/v", "cat", "/v/b"],
        "b\nA\n",
        { objects: [secret("item-secret", { a: "A", other: "no" })] },
    ),
    {
        name: "secret: not there: the pod waits, and goes on when it is",
        args: ["cat", "/v/a"],
        main: at("/v"),
        spec: volume({ secret: { secretName: "late-secret-volume" } }),
        expect: {
            phase: "Pending",
            containers: { main: { state: "waiting ContainerCreating" } },
            notes: [/^Warning FailedMount: .*secret "late-secret-volume" not found/],
        },
        then: [
            {
                make: [secret("late-secret-volume", { a: "there" })],
                expect: { phase: "Succeeded", log: "there\n", withinSeconds: 75 },
            },
        ],
    },
];

const projections: Case[] = [
    {
        name: "projected: several sources in one folder",
        labels: { app: "probe" },
        args: ["ls", "/v", "cat", "/v/map/red", "cat", "/v/password", "cat", "/v/labels", "cat", "/v/cpu"],
        objects: [
            configMap("projected-map", { red: "#f00" }),
            secret("projected-secret", { password: "s3cret" }),
        ],
        main: { ...at("/v"), resources: { requests: { cpu: "100m" } } },
        spec: volume({
            projected: {
                sources: [
                    { configMap: { name: "projected-map", items: [{ key: "red", path: "map/red" }] } },
                    { secret: { name: "projected-secret" } },
                    {
                        downwardAPI: {
                            items: [
                                { path: "labels", fieldRef: { fieldPath: "metadata.labels" } },
                                {
                                    path: "cpu",
                                    resourceFieldRef: {
                                        containerName: "main",
                                        resource: "requests.cpu",
                                        divisor: "1m",
                                    },
                                },
                            ],
                        },
                    },
                    { secret: { name: "nowhere", optional: true } },
                ],
            },
        }),
        expect: {
            phase: "Succeeded",
            log: 'cpu\nlabels\nmap/\npassword\n#f00\ns3cret\napp="probe"\n100\n',
        },
    },
    {
        name: "downwardAPI: fields of the pod",
        labels: { zone: "desk", app: "probe" },
        annotations: { "example.com/note": 'say "hi"' },
        args: ["ls", "/v", "cat", "/v/name", "cat", "/v/labels", "cat", "/v/annotations", "cat", "/v/memory"],
        main: { ...at("/v"), resources: { limits: { memory: "64Mi" } } },
        spec: volume({
            downwardAPI: {
                items: [
                    { path: "name", fieldRef: { fieldPath: "metadata.name" } },
                    { path: "labels", fieldRef: { fieldPath: "metadata.labels" } },
                    { path: "annotations", fieldRef: { fieldPath: "metadata.annotations" } },
                    {
                        path: "memory",
                        resourceFieldRef: {
                            containerName: "main",
                            resource: "limits.memory",
                            divisor: "1Mi",
                        },
                    },
                ],
            },
        }),
        // A kubelet adds annotations of its own there, which say when and where it heard of the pod.
        expect: ({ metadata }) => ({
            phase: "Succeeded",
            log: new RegExp(
                `^annotations\nlabels\nmemory\nname\n${metadata.name}\napp="probe"\nzone="desk"\n` +
                    'example.com/note="say \\\\"hi\\\\""\n(kubernetes.io/config.(seen|source)=.*\n)*64\n$',
            ),
        }),
    },
    {
        name: "the service account's own volume, which every pod has",
        args: [
            ...["ls", "/var/run/secrets/kubernetes.io/serviceaccount"],
            ...["cat", "/var/run/secrets/kubernetes.io/serviceaccount/namespace"],
        ],
        expect: ({ metadata }) => ({
            phase: "Succeeded",
            log: `ca.crt\nnamespace\ntoken\n${metadata.namespace}\n`,
        }),
    },
];

export const volumeCases: readonly Case[] = [...configMaps, ...secrets, ...projections];
