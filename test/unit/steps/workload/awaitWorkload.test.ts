/** How a workload is waited for, by what the API server answers. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { setEarlierRun } from "../../../../steps/lib/journal";
import { awaitWorkload } from "../../../../steps/workload/awaitWorkload";
import { ApiServer } from "../lib/apiServer";

void describe("a wait for a workload", () => {
    let api: ApiServer;
    let folder: string;

    beforeEach(async () => {
        folder = mkdtempSync(join(tmpdir(), "krustlet-stack-"));
        api = new ApiServer();
        await api.start();
    });
    afterEach(async () => {
        setEarlierRun(undefined);
        delete process.env.PULUMI_COMMAND_STDOUT;
        await api.stop();
        rmSync(folder, { recursive: true });
    });

    void it("whose port is one pod's alone bears an API server that is away at first", async () => {
        const kubeconfigFile = join(folder, "kubeconfig");
        writeFileSync(kubeconfigFile, api.kubeconfig, { mode: 0o600 });
        const pod = { metadata: { name: "w", namespace: "apps", uid: "u" }, status: { phase: "Succeeded" } };
        let away = true;
        api.answer = ({ url = "" }, response) => {
            if (away) {
                away = false;
                response.destroy();
            } else if (url.includes("watch=1"))
                response.end(`${JSON.stringify({ type: "ADDED", object: pod })}\n`);
            else response.end(JSON.stringify(pod));
        };
        const which = { kind: "Pod" as const, namespace: "apps", name: "w", uid: "u", generation: 1 };
        const more = { kubeconfigFile, timeoutSeconds: 20, applied: "a", alone: true };
        assert.deepEqual(await awaitWorkload({ ...which, ...more }), {
            ...{ kind: "Pod", namespace: "apps", name: "w", fields: undefined },
        });
        const [first, second] = api.calls;
        assert.equal(first, "GET /api/v1/namespaces/apps/pods/w system:admin");
        assert.equal(second, first);
    });

    void it("ends the pod before this one, unless Pulumi has it in its state: a destroy that was ended has not", async () => {
        const kubeconfigFile = join(folder, "kubeconfig");
        writeFileSync(kubeconfigFile, api.kubeconfig, { mode: 0o600 });
        const labels = { "krustlet-stack/claim": "0123456789abcdef", "krustlet-stack/resource": "r" };
        const pod = (name: string, uid: string) => ({
            metadata: { name, namespace: "apps", uid, labels },
            status: { phase: "Succeeded" },
        });
        const [before, now] = [pod("v", "before"), pod("w", "u")];
        api.answer = ({ url = "" }, response) => {
            if (url.includes("watch=1")) response.end(`${JSON.stringify({ type: "ADDED", object: now })}\n`);
            else if (url.includes("labelSelector")) response.end(JSON.stringify({ items: [before, now] }));
            else response.end(JSON.stringify(now));
        };
        const which = { kind: "Pod" as const, namespace: "apps", name: "w", uid: "u", generation: 1 };
        const input = { ...which, kubeconfigFile, timeoutSeconds: 20, applied: "a" };
        const known = { ...input, name: "v", uid: "before" };
        const ended = async () => {
            api.calls.length = 0;
            setEarlierRun({ resource: "r", undo: "forget", input: known as object, done: true, at: 1 });
            await awaitWorkload(input);
            return api.calls.filter((call) => call.startsWith("DELETE")).map((call) => call.split(/[ ?]/)[1]);
        };
        assert.deepEqual(await ended(), ["/api/v1/namespaces/apps/pods/v"]);
        process.env.PULUMI_COMMAND_STDOUT = "{}";
        assert.deepEqual(await ended(), []);
    });
});
