import assert from "node:assert/strict";
import {
    chmodSync,
    existsSync,
    lstatSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    rmSync,
    statSync,
    symlinkSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, describe, it } from "node:test";
import * as admin from "../../../../steps/cluster/adminKubeconfig";
import { isOnlyOf } from "../../../../steps/lib/kube/kubeconfig";
import { clusterOf, ifClusterAnswers, NoKubeconfig, withKube } from "../../../../steps/lib/kube/kube";

const folder = mkdtempSync(path.join(tmpdir(), "krustlet-admin-kubeconfig-"));
after(() => {
    rmSync(folder, { recursive: true });
});

const text = (cluster: string) =>
    [
        "apiVersion: v1",
        "clusters:",
        "- cluster:",
        "    certificate-authority-data: Q0E=",
        "    server: https://127.0.0.1:6443",
        `  name: kind-${cluster}`,
        `current-context: kind-${cluster}`,
        "",
    ].join("\n");
const modeOf = (file: string) => statSync(file).mode & 0o777;

describe("the file of an admin kubeconfig", () => {
    const table: [string, string, boolean][] = [
        ["this cluster's", text("wasm"), true],
        ["one that holds nothing", "\n", true],
        ["another cluster's", text("wasm-2"), false],
        [
            "one of two clusters",
            text("wasm").replace("current-context", "- cluster:\ncurrent-context"),
            false,
        ],
        [
            "one with a context of somebody's",
            text("wasm").replace(
                "current-",
                "contexts:\n- name: mine\n  context: {cluster: c, user: u}\ncurrent-",
            ),
            false,
        ],
        ["no kubeconfig", "hello\n", false],
    ];
    for (const [what, content, ours] of table) {
        it(`${ours ? "may" : "may not"} be ${what}`, () => {
            assert.equal(isOnlyOf(content, "kind-wasm"), ours);
        });
    }

    it("is written 0600 in a folder of 0700, over itself too, and goes with its folder", async () => {
        const which = admin.kindFile("wasm", path.join(folder, "a/b/kubeconfig"));
        const file = await admin.writeAdminKubeconfig(which, text("wasm"));
        assert.equal(file, which.kubeconfigFile);
        chmodSync(file, 0o644);
        await admin.writeAdminKubeconfig(which, `${text("wasm")}\n`);
        assert.equal(readFileSync(file, "utf8"), text("wasm"));
        assert.deepEqual([modeOf(file), modeOf(path.dirname(file))], [0o600, 0o700]);
        assert.deepEqual(readdirSync(path.dirname(file)), ["kubeconfig"]);
        await admin.removeAdminKubeconfig(which);
        await admin.removeAdminKubeconfig(which);
        assert.equal(existsSync(path.dirname(file)), false);
        assert.equal(existsSync(path.join(folder, "a")), true, "only the file's own folder goes");
    });

    it("may be a symbolic link, which stays: what it leads to is written, whether that is there or not, and removed", async () => {
        const [target, link] = [path.join(folder, "dotfiles", "kubeconfig"), path.join(folder, "link")];
        symlinkSync("dotfiles/kubeconfig", link);
        const which = admin.kindFile("wasm", link);
        for (let turn = 0; turn < 2; turn += 1) {
            assert.equal(await admin.writeAdminKubeconfig(which, text("wasm")), link);
            assert.equal(readFileSync(target, "utf8"), text("wasm"));
            assert.equal(lstatSync(link).isSymbolicLink(), true);
            assert.equal(modeOf(target), 0o600);
        }
        chmodSync(path.dirname(target), 0o777);
        await assert.rejects(
            admin.writeAdminKubeconfig(which, text("wasm")),
            /others may write in .*dotfiles;/,
        );
        await admin.removeAdminKubeconfig(which);
        assert.deepEqual([existsSync(target), lstatSync(link).isSymbolicLink()], [false, true]);
        symlinkSync("loop", path.join(folder, "loop"));
        await assert.rejects(
            admin.writeAdminKubeconfig({ ...which, kubeconfigFile: path.join(folder, "loop") }, text("wasm")),
            /loop is a symbolic link that leads to itself|ELOOP/,
        );
    });

    it("is never written over, nor removed, where it is something else", async () => {
        const which = admin.kindFile("wasm", path.join(folder, "config"));
        writeFileSync(which.kubeconfigFile, text("mine"));
        await assert.rejects(admin.writeAdminKubeconfig(which, text("wasm")), {
            message:
                `KindCluster.kubeconfigFile: ${which.kubeconfigFile} holds more than, or other than, context "kind-wasm"; give the ` +
                "cluster a file of its own",
        });
        await admin.removeAdminKubeconfig(which);
        assert.equal(readFileSync(which.kubeconfigFile, "utf8"), text("mine"));
    });

    it("is not written where others may put another one in its place", async () => {
        const open = path.join(folder, "open");
        mkdirSync(open);
        chmodSync(open, 0o777);
        const which = admin.kindFile("wasm", path.join(open, "kubeconfig"));
        await assert.rejects(
            admin.writeAdminKubeconfig(which, text("wasm")),
            /others may write in .*open; run `chmod 0700`/,
        );
        assert.deepEqual(readdirSync(open), []);
    });
});

describe("a kubeconfig file that is missing", () => {
    const none = path.join(folder, "none");
    it("is named, with what to do, and no cluster is asked", async () => {
        const said = (error: unknown) =>
            error instanceof NoKubeconfig &&
            error.message.includes(`there is no ${none}`) &&
            error.message.includes(`kind get kubeconfig --name CLUSTER >${none}`);
        await assert.rejects(clusterOf(none), said);
        await assert.rejects(
            withKube(none, () => assert.fail("it has no cluster")),
            said,
        );
    });
    it("is as good as a cluster that has gone, to what deletes", async () => {
        const notes: string[] = [];
        await ifClusterAnswers(
            none,
            () => assert.fail("it has no cluster"),
            (line) => notes.push(line),
        );
        assert.deepEqual(notes, [`nothing is deleted in the cluster: there is no ${none} to reach it by`]);
    });
});
