// A configuration value that is a secret is in no error message, whatever is wrong with it or with others beside it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { stackArgs } from "../../../components/stack/stackConfig";
import { workloadRulesOfAll } from "../../../components/stack/wasmStackArgs";

const hello = { name: "hello-wasm", source: "workloads/hello-world" };

interface Refused {
    what: string;
    config: Record<string, unknown>;
    secretKeys: string[];
    problems: string[];
}
const hidden = "(a secret, so it is not shown)";
const list = (values: string[]) => values.map((one) => JSON.stringify(one)).join(", ");

const refused: Refused[] = [
    {
        what: "a value of its own",
        config: { registryAddress: "https://s3cret.example" },
        secretKeys: ["registryAddress"],
        problems: [
            `registryAddress: must be a registry, possibly with a path, without a scheme (for example "ghcr.io/you") ${hidden}`,
        ],
    },
    {
        what: "a number",
        config: { registryPort: 77_777 },
        secretKeys: ["registryPort"],
        problems: [`registryPort: must be a whole number from 1 to 65535 ${hidden}`],
    },
    {
        what: "a list that is no JSON",
        config: { workloads: '[{"name": "s3cret",]' },
        secretKeys: ["workloads"],
        problems: [`workloads: must be a list ${hidden}`],
    },
    {
        what: "a part of a list",
        config: { workloads: [{ ...hello, args: [7] }] },
        secretKeys: ["workloads"],
        problems: [`workloads[0].args[0]: must be a text that is not empty ${hidden}`],
    },
    {
        what: "names that were given, in paths and in messages",
        config: {
            workloads: [
                { ...hello, s3cret: 1, enf: "s3cret" },
                { ...hello, name: "b", env: { "s3cret=": "x", S3CRET: [] } },
            ],
        },
        secretKeys: ["workloads"],
        problems: [
            `workloads[0]: has something unknown; there are ${Object.keys(workloadRulesOfAll).join(", ")} ${hidden}`,
            `workloads[0]: has something unknown; did you mean "env"? ${hidden}`,
            `workloads[1].env: must be an environment variable's name of printable ASCII characters but "=" (for example "RUST_LOG") ${hidden}`,
            `workloads[1].env: must be a text (put it in quotes) ${hidden}`,
        ],
    },
    {
        what: "what other programs have in their own words",
        config: {
            workloads: [{ ...hello, kind: "CronJob", schedule: "@s3cret", allowedDomains: ["s3cret"] }],
        },
        secretKeys: ["workloads"],
        problems: [
            `workloads[0].allowedDomains[0]: must be an origin (for example "https://catfact.ninja") ${hidden}`,
            `workloads[0].schedule: is not what is allowed there ${hidden}`,
        ],
    },
    {
        what: "rules that look at several values",
        config: { nodes: [{ name: "s3cret" }, { name: "s3cret" }] },
        secretKeys: ["nodes"],
        problems: [
            `nodes[1].name: is the same as nodes[0].name; give each node its own ${hidden}`,
            `nodes[1].port: is taken by nodes[0]; give each node its own ${hidden}`,
        ],
    },
    {
        what: "what is missing, which needs no hiding",
        config: { workloads: [{ source: "s3cret" }] },
        secretKeys: ["workloads"],
        problems: ['workloads[0].name: is missing; for example "hello-wasm"'],
    },
    {
        what: "a value that is too long",
        config: { clusterName: "s3cret".repeat(20) },
        secretKeys: ["clusterName"],
        problems: [`clusterName: must have at most 49 characters ${hidden}`],
    },
    {
        what: "which kind of cluster",
        config: { cluster: "s3cret" },
        secretKeys: ["cluster"],
        problems: [
            `cluster: must be one of ${list(["kind", "existing", "minikube", "microk8s", "k3d"])} ${hidden}`,
        ],
    },
    {
        what: "what another key's problem tells of it",
        config: {
            nodes: [{ name: "s3cret", allowedHostPaths: ["/s3cret"] }],
            workloads: [
                { ...hello, node: "other" },
                { ...hello, name: "b", volumes: [{ name: "v", mountPath: "/v", hostPath: "/srv" }] },
            ],
        },
        secretKeys: ["nodes"],
        problems: [
            'workloads[0].node: no node of this stack is named "other"; there are [secret]',
            'workloads[1].volumes[0].hostPath: "/srv" is not below a folder that node "[secret]" lets pods mount (it allows [secret]); add it to the node\'s allowedHostPaths',
        ],
    },
];

for (const { what, config, secretKeys, problems } of refused) {
    test(`a secret is not shown: ${what}`, () => {
        const values = Object.fromEntries(
            Object.entries(config).map(([key, value]) => [
                key,
                typeof value === "string" ? value : JSON.stringify(value),
            ]),
        );
        let message = "";
        try {
            stackArgs({ values, secretKeys });
        } catch (error) {
            message = (error as Error).message;
        }
        assert.match(message, /^The configuration has \d+ problems?:\n/);
        assert.doesNotMatch(message, /s3cret|77777/i);
        const lines = message.split("\n  - ").slice(1);
        assert.deepEqual(lines, problems);
    });
}
