// Volumes of the kind emptyDir, and how a container may use what it mounts.
import { probe } from "../../lib/pod";
import type { Case } from "../../runCase";
import { at, volume } from "../mounting";
import { configMap, mounts } from "../objects";

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
        name: "readOnly",
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
            // What a container writes to its two streams at once may be kept in either order.
            log: { main: /^(?=[^]*^x$)[^]*^probe: append: .*(not permitted|[Rr]ead-only|denied)/m },
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
