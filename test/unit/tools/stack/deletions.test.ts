import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { describe, it } from "node:test";
import type { Reporter } from "../../../../common/report";
import { lookForDeleted, maybeDeleted } from "../../../../tools/stack/deletions";
import { homeOf, stackFiles } from "../../../../tools/stack/home";
import { scratchFolder, scriptedTools } from "../../steps/lib/scriptedDocker";

const role = { urn: "urn:role", type: "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole" };
const pod = { urn: "urn:pod", type: "kubernetes:core/v1:Pod" };
const step = { urn: "urn:step", type: "command:local:Command" };
const provider = { urn: "urn:provider", type: "pulumi:providers:kubernetes" };
const resources = [provider, step, role, pod];
const at = (type: string, ...those: typeof resources) => those.map((resource) => ({ resource, type }));

void describe("what a run that was ended may have deleted", () => {
    for (const [what, pending_operations, last, found] of [
        ["the objects that the engine was at when it was killed", at("deleting", pod, step), {}, ["urn:pod"]],
        ["nothing that it was about to make", at("creating", pod), {}, []],
        [
            "each object where the last run could not delete all",
            [],
            { kind: "destroy", result: "failed" },
            ["urn:pod", "urn:role"],
        ],
        ["nothing where that was an update", [], { kind: "update", result: "failed" }, []],
        ["nothing where all went well", [], { kind: "update", result: "succeeded" }, []],
        ["nothing where there was no run", [], undefined, []],
    ] as const)
        void it(what, () => {
            assert.deepEqual(
                maybeDeleted({ resources, pending_operations: [...pending_operations] }, last),
                found,
            );
        });
});

void describe("what an update failed to delete", () => {
    const held = [
        {
            urn: `urn:pulumi:dev::stack::krustlet-stack:index:WasmPod$${pod.type}::wasm-hello-pod`,
            type: pod.type,
        },
        { urn: `urn:pulumi:dev::stack::${role.type}::wasm-hello-pod`, type: role.type },
        { urn: `urn:pulumi:dev::stack::${step.type}::wasm-hello-ready`, type: step.type },
    ];
    const said = (...lines: string[]) =>
        maybeDeleted({ resources: held }, { kind: "update", result: "failed" }, lines.join("\n"));
    const failed = (type: string, name: string, what = "deleting") =>
        ` -  ${type} ${name} **${what} failed** error: transport is closing`;

    void it("is looked for, for the change may be taken back", () => {
        assert.deepEqual(said("Updating (dev):", failed(pod.type, "wasm-hello-pod"), ""), [held[0].urn]);
    });
    void it("is found in what a terminal was shown", () => {
        const [red, off] = ["\x1b[38;5;1m", "\x1b[0m"];
        const shown = ` ${red}- ${off} ${pod.type} wasm-hello-pod ${red}**deleting failed**${off} ${red}error: ${off}${off}transport`;
        assert.deepEqual(said(shown), [held[0].urn]);
    });
    void it("is no step, nothing that was made, and nothing else of the name", () => {
        assert.deepEqual(
            said(
                failed(step.type, "wasm-hello-ready"),
                failed(pod.type, "wasm-hello-pod", "creating"),
                failed(role.type, "hello-pod"),
                ` -  ${pod.type} wasm-hello-pod deleted (1s)`,
            ),
            [],
        );
    });
});

void describe("a look for what may be gone", () => {
    const tools = scriptedTools();
    const folder = scratchFolder("deletions");
    const home = homeOf({ KRUSTLET_STACK_HOME: folder });
    const files = stackFiles(home, "project", "dev", folder);
    const warnings: string[] = [];
    const report = { warn: (text: string) => warnings.push(text) } as unknown as Reporter;
    const hasState = async (pending_operations: object[], kept = resources) => {
        await fs.mkdir(path.dirname(files.state), { recursive: true });
        const latest = { resources: kept, pending_operations };
        await fs.writeFile(files.state, JSON.stringify({ checkpoint: { latest } }));
    };
    const look = async () => {
        warnings.length = 0;
        await lookForDeleted(files, process.env, report);
    };
    const targets = () => tools.asked().flatMap((line) => line.match(/(?<=--target )\S+/g) ?? []);

    void it("is made again by the next run where nothing answered, and is then over", async () => {
        await fs.mkdir(files.configDir, { recursive: true });
        await hasState(at("deleting", role, pod));
        tools.script("pulumi", `say("the cluster does not answer"); return 255;`);
        await look();
        assert.match(warnings.join("\n"), /looks for 2 objects[^]*the cluster does not answer/);
        // Pulumi writes the state without what was under way, though its refresh has failed; the role was removed meanwhile.
        await hasState([], [step, pod]);
        tools.forget();
        tools.script("pulumi", "");
        await look();
        assert.deepEqual(targets(), ["urn:pod"]);
        tools.forget();
        await look();
        assert.deepEqual([warnings, tools.asked()], [[], []]);
    });
});
