import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { KubeError } from "../../../../steps/lib/kube/kube";
import { sha256OfFile } from "../../../../steps/lib/files";
import { processOf } from "../../../../steps/lib/processes";
import { driftOfProgram } from "../../../../steps/node/daemon/daemon";
import * as own from "../../../../steps/node/certificates/approverFiles";
import { decide, sendDecision, type Decision } from "../../../../steps/node/certificates/deciding";

const folder = mkdtempSync(join(tmpdir(), "krustlet-approver-test-"));
after(() => {
    rmSync(folder, { recursive: true, force: true });
});
const request = { metadata: { name: "csr/1" }, spec: { request: "", signerName: "s" } };

function script(name: string, text: string): string {
    const file = join(folder, name);
    writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o700 });
    return file;
}

describe("an approver's process", () => {
    it("has its folder on the command line, and no secret", () => {
        assert.deepEqual(own.approverArgv("/bin/krustlet-approver", own.approverFiles("/state")), [
            "/bin/krustlet-approver",
            "watch",
            "--state-dir=/state",
        ]);
    });

    it("comes with a minimal environment", () => {
        const callers = { PATH: "/bin", HOME: "/h", KUBECONFIG: "/mine", NODE_OPTIONS: "y" };
        assert.deepEqual(own.approverEnvironment(callers), { PATH: "/bin", HOME: "/h" });
    });

    it("is to be started again when it has ended or its program is another one by now", async () => {
        const program = script("program", "one");
        const record = {
            ...(processOf(process.pid) ?? assert.fail()),
            launchedAt: 0,
            logOffset: 0,
            programSha256: await sha256OfFile(program),
        };
        assert.equal(await driftOfProgram("it", record, program), undefined);
        assert.equal(await driftOfProgram("it", record, join(folder, "none")), undefined);
        assert.equal(
            await driftOfProgram("it", { ...record, startTime: "1" }, program),
            "it is not running any more: it is started again",
        );
        script("program", "two");
        assert.equal(
            await driftOfProgram("it", record, program),
            `it is of another build than ${program}: it is replaced`,
        );
    });
});

describe("the decision on a certificate request", () => {
    const kubelet = { name: "n", address: "10.0.0.1", clientCertificates: [], startedAt: 7 };

    it("is asked of the program, by its standard input", async () => {
        const asked = join(folder, "asked");
        const program = script(
            "asking",
            `echo "$@" >${asked}; cat >>${asked}; echo '{"verdict": "not-ours"}'`,
        );
        assert.deepEqual(await decide(program, request, { kubelet }), { verdict: "not-ours" });
        const [argv, question] = readFileSync(asked, "utf8").split("\n");
        assert.equal(argv, "decide");
        assert.deepEqual(JSON.parse(question), { request, kubelet });
    });

    it("is an error with the program's words when there is none", async () => {
        const program = script("failing", "echo 'krustlet-approver: /x: denied' >&2; exit 1");
        await assert.rejects(decide(program, request, { kubelet }), /krustlet-approver: \/x: denied/);
    });

    const sent = async (decided: object | null, refusal?: string) => {
        const calls: unknown[] = [];
        const replace = (...call: unknown[]) => {
            calls.push(call);
            return refusal === undefined
                ? Promise.resolve()
                : Promise.reject(new KubeError(refusal, refusal));
        };
        const done = await sendDecision({ replace }, request, { decided } as Decision);
        return { done, calls };
    };

    it("is sent once, on what was looked at", async () => {
        const path = "/apis/certificates.k8s.io/v1/certificatesigningrequests/csr%2F1/approval";
        assert.deepEqual(await sent({ a: 1 }), { done: true, calls: [[path, { a: 1 }]] });
        assert.deepEqual(await sent(null), { done: false, calls: [] });
    });

    it("is left to the next look where the request has changed or gone meanwhile", async () => {
        for (const reason of ["Conflict", "NotFound"])
            assert.equal((await sent({ a: 1 }, reason)).done, false, reason);
        await assert.rejects(sent({ a: 1 }, "Forbidden"), { reason: "Forbidden" });
    });
});
