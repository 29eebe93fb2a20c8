// Volumes that are folders of the node: emptyDir and hostPath, and how a container may use them.
import { probe } from "../lib/pod";
import type { Case } from "../runCase";
import { underTest } from "../underTest";
import { at, reads, volume } from "./mounting";
import { configMap, mounts } from "./objects";

const shared = { volumes: [{ name: "data", emptyDir: {} }] };

export const emptyDirCases: readonly Case[] = [
    {
        name: "emptyDir: shared by a pod's containers",
        spec: {
            ...shared,
            initContainers: [
                probe("writer", ["ls", "/in", "write", "/in/f", "from init"], mounts({ data: "/in" })),
            ],
            containers: [
                probe(
                    "main",
                    ["cat", "/out/f", "append", "/out/f", "and main", "cat", "/out/f"],
                    mounts({ data: "/out" }),
                ),
            ],
        },
        expect: {
            phase: "Succeeded",
            log: { writer: "", main: "from init\nfrom init\nand main\n" },
        },
    },
    {
        name: "readOnly: kept by the sandbox",
        spec: {
            ...shared,
            initContainers: [probe("writer", ["write", "/rw/f", "x"], mounts({ data: "/rw" }))],
            containers: [
                probe("main", ["cat", "/ro/f", "append", "/ro/f", "y"], {
                    volumeMounts: [{ name: "data", mountPath: "/ro", readOnly: true }],
                }),
            ],
        },
        expect: {
            phase: "Failed",
            containers: { main: { state: "terminated Error 74" } },
            log: { main: /^x\nprobe: append: .*(not permitted|[Rr]ead-only|denied)/ },
        },
    },
    {
        name: "subPath: a folder of a volume; subPathExpr: one named by a variable",
        args: [
            "write",
            "/a/f",
            "A",
            "write",
            "/b/f",
            "B",
            "ls",
            "/v",
            "cat",
            "/v/one/f",
            "cat",
            "/v/two-x/f",
        ],
        main: {
            env: [{ name: "WHICH", value: "x" }],
            volumeMounts: [
                { name: "v", mountPath: "/a", subPath: "one" },
                { name: "v", mountPath: "/b", subPathExpr: "two-$(WHICH)" },
                { name: "v", mountPath: "/v" },
            ],
        },
        spec: volume({ emptyDir: {} }),
        expect: { phase: "Succeeded", log: "one/\ntwo-x/\nA\nB\n" },
    },
    {
        name: "a mount within another",
        args: ["write", "/v/f", "outer", "cat", "/v/config/red", "cat", "/v/f"],
        objects: [configMap("inner-map", { red: "#f00" })],
        main: {
            volumeMounts: [
                { name: "v", mountPath: "/v" },
                { name: "config", mountPath: "/v/config" },
            ],
        },
        spec: {
            volumes: [
                { name: "v", emptyDir: {} },
                { name: "config", configMap: { name: "inner-map" } },
            ],
        },
        expect: { phase: "Succeeded", log: "#f00\nouter\n" },
    },
    {
        name: "emptyDir over its sizeLimit: Evicted",
        args: ["fill", "/v/big", "4", "print", "filled", "ticks", "500", "0"],
        main: at("/v"),
        spec: { ...volume({ emptyDir: { sizeLimit: "1Mi" } }), restartPolicy: "Always" },
        expect: {
            phase: "Failed",
            reason: "Evicted",
            message: /EmptyDir volume "v" exceeds the limit "1Mi"/,
            containers: { main: { state: /^terminated \w+ 137$/ } },
            notes: [/^Warning Evicted: /],
            withinSeconds: 60,
        },
    },
    {
        name: "emptyDir within its sizeLimit",
        args: ["fill", "/v/small", "1", "print", "filled"],
        main: at("/v"),
        spec: volume({ emptyDir: { sizeLimit: "8Mi" } }),
        expect: { phase: "Succeeded", log: "filled\n" },
    },
];

/** hostPath volumes, in a folder of the host that the suite has put `data/file` into. */
export const hostPathCases = (): readonly Case[] => {
    const { hostPath } = underTest();
    const waits = (name: string, source: { path: string; type?: string }, message: RegExp): Case => ({
        name,
        args: ["ls", "/v"],
        main: at("/v"),
        spec: volume({ hostPath: source }),
        expect: {
            phase: "Pending",
            containers: { main: { state: "waiting ContainerCreating", message, restarts: 0 } },
            notes: [new RegExp(`^Warning FailedMount: .*${message.source}`)],
        },
    });
    const elsewhere = (path: string) => new RegExp(`${path}.*--allowed-host-paths`);
    return [
        reads(
            "hostPath: a folder",
            { hostPath: { path: `${hostPath}/data`, type: "Directory" } },
            ["cat", "/v/file"],
            "of the host\n",
        ),
        reads(
            "hostPath: a folder that is made",
            { hostPath: { path: `${hostPath}/made`, type: "DirectoryOrCreate" } },
            ["write", "/v/f", "x", "cat", "/v/f"],
            "x\n",
        ),
        waits(
            "hostPath: a folder that is not there",
            { path: `${hostPath}/none`, type: "Directory" },
            /none is not a directory/,
        ),
        waits("hostPath: elsewhere", { path: "/etc" }, elsewhere("/etc")),
        waits("hostPath: beside an allowed folder", { path: `${hostPath}-beside` }, elsewhere("-beside")),
        waits(
            "hostPath: a link that leads out",
            { path: `${hostPath}/link-to-etc` },
            elsewhere("link-to-etc"),
        ),
    ];
};
