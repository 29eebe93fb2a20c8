import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { workloadLog } from "../../../tools/stack/logs";

/** A kubectl that answers `get` and `logs` as it is told. */
const kubectl = `#!/bin/sh
echo "$@" >> "$CALLS"
case "$*" in
    *" get job/"*) printf %s "$ENDED" ;;
    *" get "*) printf %s "$PODS" ;;
    *" logs "*) printf "$LOG"; [ -z "$REFUSED" ] || { echo "$REFUSED" >&2; exit 1; } ;;
esac
`;

describe("what up shows of a workload", () => {
    let dir: string;
    let calls: string;
    before(async () => {
        dir = await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-stack-test-"));
        calls = path.join(dir, "calls");
        await fs.writeFile(path.join(dir, "kubectl"), kubectl, { mode: 0o755 });
    });
    after(() => fs.rm(dir, { recursive: true, force: true }));

    const show = async (
        kind: string,
        told: { pods?: string; ended?: string; log?: string; refused?: string },
        seconds = { quiet: 0.1, unread: 0.1 },
    ) => {
        await fs.writeFile(calls, "");
        const env = {
            PATH: `${dir}:${process.env.PATH}`,
            CALLS: calls,
            PODS: told.pods ?? "1",
            ENDED: told.ended ?? "",
            LOG: told.log ?? "",
            REFUSED: told.refused ?? "",
        };
        return workloadLog("/k", { kind, name: "w-1a2b", namespace: "apps", app: "w" }, env, seconds);
    };

    it("is its log", async () => {
        assert.equal(await show("Pod", { log: "one\\ntwo\\n" }), "Log of Pod apps/w-1a2b:\none\ntwo");
        assert.equal(await show("Deployment", { log: "one\\n" }), "Log of Deployment apps/w-1a2b:\none");
    });
    it("is a line where it has written nothing", async () => {
        const wanted =
            "Pod apps/w-1a2b has written nothing so far; later: kubectl --kubeconfig /k --namespace apps logs pod/w-1a2b --tail=5";
        assert.equal(await show("Pod", {}), wanted);
    });
    it("is a line where it has no pods by intention, without asking for their log", async () => {
        for (const [kind, why] of [
            ["Deployment", "Deployment apps/w-1a2b has no pods: its replicas are 0"],
            ["DaemonSet", "DaemonSet apps/w-1a2b has no pods: no node is for it"],
        ]) {
            assert.equal(await show(kind, { pods: "0" }), why);
            assert.doesNotMatch(await fs.readFile(calls, "utf8"), / logs /);
        }
    });
    it("is a line of a job whose pods have gone since it was complete, as in a drain of their node", async () => {
        const ended = "2026-11-29T12:00:00Z";
        const gone = "Job apps/w-1a2b has no pods: it is complete, and they were deleted since";
        assert.equal(await show("Job", { pods: "List", ended }), gone);
        const log = "one\\n";
        // Its pods are still to come, are there, or nobody could say.
        for (const told of [{ pods: "List" }, { pods: "List w-1a2b-x", ended }, { pods: "", ended }])
            assert.equal(await show("Job", { ...told, log }), "Log of Job apps/w-1a2b:\none");
    });
    it("is a line of a cron job that has not run", async () => {
        const wanted = "CronJob apps/w-1a2b has not run yet; see its schedule";
        assert.equal(await show("CronJob", {}, { quiet: 60, unread: 60 }), wanted);
    });
    it("is an error where it cannot be read, with what was tried", async () => {
        await assert.rejects(show("Job", { refused: "dial tcp 172.18.0.1:3000: no route to host" }), {
            message:
                "the log of Job apps/w-1a2b cannot be read for 0.1 s: dial tcp 172.18.0.1:3000: no route to host\n" +
                "Try: kubectl --kubeconfig /k --namespace apps logs job/w-1a2b --tail=5",
        });
    });
});
