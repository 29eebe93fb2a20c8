import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { describe, it } from "node:test";
import {
    stepFolders,
    stepPath,
    type KindClusterInput,
    type PreflightInput,
    type Steps,
} from "../../steps/contract";
import { fail, start } from "./runStep";

const folder = path.join(__dirname, "..", "..", "steps");
const names = Object.keys(stepFolders) as (keyof Steps)[];

const cluster: KindClusterInput = {
    name: "krustlet-steps-alone",
    owner: "krustlet-stack/steps-test",
    waitSeconds: 60,
    kubeconfigFile: "/nonexistent/kubeconfig",
    kubeadmConfigPatches: [],
    containerdConfigPatches: [],
};
const checks: PreflightInput = {
    owner: "krustlet-stack/steps-test",
    cluster: { kind: { name: cluster.name } },
    nodes: [],
    modules: [],
};

describe("every step", { concurrency: 2 }, () => {
    it("is in the folder that the contract says, and no other program is there", () => {
        const programs = readdirSync(folder, { recursive: true, encoding: "utf8" })
            .filter((file) => file.endsWith(".ts"))
            .filter((file) => /^step\(module, /m.test(readFileSync(path.join(folder, file), "utf8")));
        assert.deepEqual(programs.sort(), names.map((name) => `${stepPath(name)}.ts`).sort());
    });
    it("forget takes whatever its opposite had", async () => {
        const { exitCode, stdout } = await start("forget", '{"colour": "red"}');
        assert.deepEqual([exitCode, stdout], [0, "{}\n"]);
    });
    for (const name of names.filter((one) => one !== "forget")) {
        it(`${name} without an input says what it must be`, async () => {
            const result = await start(name, "");
            assert.equal(result.exitCode, 1);
            assert.equal(result.stdout, "");
            assert.match(
                result.stderr,
                new RegExp(`^${name}: standard input is empty; it must be one JSON object:\n  \\w+`),
            );
            assert.doesNotMatch(result.stderr, /^\s+at /m);
        });
        // What undoes something takes what an older or newer version stored.
        const undoes = /^(delete|stop|disconnect|remove|release)/.test(name);
        it(`${name} ${undoes ? "names a field that it misses" : "names a field that it does not know"}`, async () => {
            const result = await start(name, '{"colour": "red"}');
            assert.equal(result.exitCode, 1);
            assert.match(
                result.stderr,
                new RegExp(
                    `^${name}: input\\.${undoes ? "\\w+: is missing; it must be" : "colour: is unknown; there are"} \\w+`,
                ),
            );
        });
    }
});

describe("a step without its tools", () => {
    it("leads to the doctor", async () => {
        const path = { env: { PATH: "/nonexistent" } };
        assert.match(
            await fail("createKindCluster", cluster, path),
            /^createKindCluster: Tools: docker, kind are not on PATH; `npm run doctor` shows what to do\n$/,
        );
        assert.equal(
            await fail("preflight", { ...checks, modules: [] }, path),
            "preflight: a problem to mend before anything is created:\n- Tools: docker, kind are not on PATH; `npm run doctor` shows what to do\n",
        );
    });
});

describe("a step without Docker", () => {
    const down = { env: { DOCKER_HOST: "unix:///nonexistent/docker.sock" } };
    it("says so and creates nothing", async () => {
        const message = await fail("createKindCluster", cluster, down);
        assert.match(
            message,
            /^createKindCluster: Docker: no daemon answers \(.*nonexistent.*\); start it, or set DOCKER_HOST to one/,
        );
        assert.match(await fail("preflight", checks, down), /\n- Docker: no daemon answers \(/);
        assert.match(await fail("deleteKindCluster", cluster, down), /Docker: no daemon answers/);
    });
});

describe("a step that only looks", () => {
    it("tells all problems at once", async () => {
        const message = await fail("preflight", {
            ...checks,
            remoteRegistry: { address: "localhost:1", plainHttp: true },
            nodes: [{ name: "krustlet", port: 3932, stateDir: "/nonexistent", program: "krustlet-wasm" }],
            modules: [{ file: "/etc/hostname" }, { source: "/nonexistent" }, {}],
        });
        const lines = message.trimEnd().split("\n");
        assert.deepEqual(lines.slice(0, 1), ["preflight: 5 problems to mend before anything is created:"]);
        assert.deepEqual(
            lines
                .slice(1)
                .map((line) => line.replace(/[:.].*/, ""))
                .sort(),
            ['- KrustletNode "krustlet"', "- Registry", "- WasmArtifact", "- WasmArtifact", "- WasmArtifact"],
        );
    });

    it("tells Docker's version when nothing is wrong", async () => {
        const result = await start("preflight", JSON.stringify(checks));
        assert.equal(result.exitCode, 0, result.stderr);
        const { dockerVersion } = JSON.parse(result.stdout) as { dockerVersion: string };
        assert.match(dockerVersion, /^\d+\.\d+/);
    });
});
