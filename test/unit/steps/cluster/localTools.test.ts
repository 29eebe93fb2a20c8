/** What is made of the words of tools that make clusters here. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { minikube } from "../../../../steps/cluster/local/minikube";
import { askForSecret, jsonOf } from "../../../../steps/cluster/local/tool";
import { scriptedTools } from "../lib/scriptedDocker";

const tools = scriptedTools();

void describe("what a tool prints", () => {
    const argv = ["tool", "list"];
    const isList = (value: unknown) => Array.isArray(value);

    void it("is found after its warnings", () => {
        const warning = '{"specversion":"1.0","type":"io.k8s.sigs.minikube.warning"}';
        assert.deepEqual(jsonOf(argv, `${warning}\nslow\n[1]\n`, isList), [1]);
    });
    for (const printed of ["", "{}", "no"])
        void it(`tells nothing of clusters: ${JSON.stringify(printed)}`, () => {
            const message = `tool list: what it printed does not tell which clusters there are: ${printed}`;
            assert.throws(() => jsonOf(argv, printed, isList), { message });
        });
    void it("is not repeated where it is a secret", async () => {
        tools.script("tool", 'print("token"); return 1;');
        await assert.rejects(askForSecret(argv), { message: "tool list: exit code 1" });
    });
});

void describe("a cluster of minikube's", () => {
    const states = { OK: true, Running: true, Degraded: true, Unknown: true, Stopped: false, Paused: false };
    for (const [Status, running] of Object.entries(states))
        void it(`${running ? "is asked itself" : "stands still"} where its state is ${Status}`, async () => {
            const profiles = JSON.stringify({ valid: [{ Name: "demo", Status }], invalid: [] });
            tools.script("minikube", `print(${JSON.stringify(profiles)});`);
            assert.equal((await minikube.find("demo"))?.running, running);
        });
});
