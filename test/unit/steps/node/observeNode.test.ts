/** What a preview says of a node's agent that is no longer what it was started as. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { enterClaim, thisHost } from "../../../../steps/lib/claim";
import { sha256OfFile } from "../../../../steps/lib/files";
import { writeEntry } from "../../../../steps/lib/journal";
import { processOf } from "../../../../steps/lib/processes";
import { notesOf } from "../../../../steps/lib/step";
import { agentFiles, registryVariables } from "../../../../steps/node/agent/agent";
import { observeNode } from "../../../../steps/node/observeNode";
import { ScriptedTools } from "../lib/scriptedDocker";

const folder = mkdtempSync(path.join(tmpdir(), "krustlet-observe-"));
const program = path.join(folder, "krustlet-wasi");
const given = {
    resource: "n-agent",
    program,
    nodeName: "krustlet",
    stateDir: path.join(folder, "state"),
};
const environment = { ...process.env };
const began = { HTTPS_PROXY: "http://me:hunter2@p:1", NO_PROXY: "a", https_proxy: "", DOCKER_CONFIG: "/d" };

/** What is told, but for when the agent was started. */
const told = async (now: Record<string, string>) => {
    for (const name of ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"].flatMap((one) => [one, one.toLowerCase()]))
        delete process.env[name];
    Object.assign(process.env, { SSL_CERT_FILE: "", SSL_CERT_DIR: "", DOCKER_CONFIG: "/d" }, now);
    const { because, notes } = await notesOf(() => observeNode(given));
    assert.deepEqual(notes, because === undefined ? [] : [because]);
    return because?.replace(/, started .*Z,/, "");
};

void describe("a node's agent", () => {
    before(async () => {
        writeFileSync(program, "", { mode: 0o755 });
        const files = agentFiles(given.stateDir);
        mkdirSync(files.stateDir);
        const record = {
            ...processOf(process.pid),
            launchedAt: 0,
            joined: false,
            programSha256: await sha256OfFile(program),
            registryVariables: registryVariables(began),
        };
        writeFileSync(files.pidFile, JSON.stringify(record));
        const owner = "project/stack/0123456789abcdef";
        const claim = {
            id: "0123456789abcdef",
            owner,
            folder: path.join(folder, "claim"),
            host: await thisHost(),
        };
        await enterClaim({ ...claim, resource: "n-agent" });
        const entry = {
            resource: "n-agent",
            undo: "stopNode" as const,
            input: {},
            output: {},
            done: true,
            at: 0,
        };
        await writeEntry(claim, entry);
    });
    beforeEach(() => {
        process.env = { ...environment };
    });
    after(async () => {
        process.env = environment;
        await enterClaim(undefined);
        rmSync(folder, { recursive: true });
    });

    void it("stays as it is where nothing has changed, whatever else is in the environment", async () => {
        assert.equal(await told(began), undefined);
        assert.equal(await told({ ...began, HTTP_PROXY: "", LANG: "C" }), undefined);
    });

    void it("that asks registries by another way than this environment has is replaced; no value is told", async () => {
        const agent = `agent ${process.pid} of node "krustlet" asks registries by another`;
        const rest = "than this environment has: it is replaced";
        assert.equal(
            await told({ ...began, HTTPS_PROXY: "http://me:hunter3@p:1" }),
            `${agent} HTTPS_PROXY ${rest}`,
        );
        assert.equal(
            await told({ SSL_CERT_FILE: "/ca.pem" }),
            `${agent} HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE ${rest}`,
        );
        assert.equal(await told({ ...began, http_proxy: "p:2" }), `${agent} http_proxy ${rest}`);
    });

    void it("in a container that has another address is looked at again, and one that does not run is started", async () => {
        const tools = new ScriptedTools();
        const { pidFile } = agentFiles(given.stateDir);
        const before = readFileSync(pidFile, "utf8");
        const container = { name: "p-s-krustlet-agent", id: "0", network: "kind", address: "172.18.0.3" };
        writeFileSync(pidFile, JSON.stringify({ ...(JSON.parse(before) as object), container }));
        const docker = (address: string, State: object) => {
            const found = [
                { Id: "0", State, NetworkSettings: { Networks: { kind: { IPAddress: address } } } },
            ];
            tools.script(
                "docker",
                `print(argv[0] === "ps" ? "0" : ${JSON.stringify(JSON.stringify(found))});`,
            );
        };
        const who = 'agent in container p-s-krustlet-agent of node "krustlet"';
        try {
            docker("172.18.0.3", { Running: true });
            assert.equal(await told(began), undefined);
            docker("172.18.0.4", { Running: true });
            assert.equal(
                await told(began),
                `${who} has another address than before (172.18.0.3 → 172.18.0.4): its certificates are looked at again`,
            );
            docker("", { Running: false });
            assert.equal(await told(began), `${who} is not running any more: it is started again`);
        } finally {
            tools.remove();
            writeFileSync(pidFile, before);
        }
    });

    void it("of another build is replaced", async () => {
        writeFileSync(program, "new");
        assert.equal(
            await told(began),
            `agent ${process.pid} of node "krustlet" is of another build than ${program}: it is replaced`,
        );
    });
});
