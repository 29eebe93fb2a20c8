/** `kubectl port-forward`, by the kubectl that the stack uses, to pods that answer requests. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { isReady, serving } from "./cases/serving";
import { agent } from "./lib/agent";
import type { KubeObject } from "./lib/api";
import type { Pod } from "./lib/pod";
import { underTest } from "./underTest";
import { World } from "./lib/world";

/** Nobody else in the suite listens there. */
const PORT = 18195;

/** A `kubectl port-forward` that runs, and what it has said. */
interface Forward {
    process: ChildProcess;
    /** Where it listens. */
    port: number;
    said: () => string;
}

describe("kubectl port-forward", { timeout: 300_000 }, () => {
    let world: World;
    let pod: Pod;
    const running: ChildProcess[] = [];
    before(async () => {
        world = await World.open("forward");
        pod = await world.start("server", serving(PORT));
        await world.make({
            kind: "Service",
            metadata: { name: "server" },
            spec: { selector: { app: `on-${PORT}` }, ports: [{ port: 80, targetPort: "http" }] },
        } as KubeObject);
        await world.untilRunning(pod);
    });
    after(async () => {
        for (const process of running) process.kill("SIGKILL");
        await world.close();
    });

    const forward = async (target: string, port: number): Promise<Forward> => {
        const argv = [`--kubeconfig=${underTest().kubeconfigFile}`, `--namespace=${world.namespace}`].concat([
            ...["port-forward", "--address=127.0.0.1", target, `:${port}`],
        ]);
        const process = spawn("kubectl", argv, { stdio: ["ignore", "pipe", "pipe"] });
        running.push(process);
        let said = "";
        for (const output of [process.stdout, process.stderr])
            output.on("data", (text: Buffer) => (said += text.toString()));
        const local = await world.until(
            "kubectl's port",
            () => /^Forwarding from 127\.0\.0\.1:(\d+) ->/m.exec(said)?.[1],
            { explain: () => said },
        );
        return { process, port: Number(local), said: () => said };
    };
    const get = async ({ port }: Forward, path: string) =>
        (await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: "close" } })).text();
    const end = async ({ process }: Forward) => {
        // By itself, as after the first connection that could not be forwarded.
        if (process.exitCode !== null || process.signalCode !== null) return;
        process.kill("SIGTERM");
        await once(process, "exit");
    };

    it("carries requests to the pod: one after another, many at once, on one connection", async () => {
        const to = await forward("pod/server", PORT);
        assert.equal(await get(to, "/you"), "Hello, you!\n", to.said());
        for (let round = 0; round < 5; round++) {
            const names = Array.from({ length: 40 }, (_, index) => `n${round}-${index}`);
            const texts = await Promise.all(names.map((name) => get(to, `/${name}`)));
            assert.deepEqual(
                texts,
                names.map((name) => `Hello, ${name}!\n`),
            );
        }
        for (let time = 0; time < 20; time++)
            assert.equal(await (await fetch(`http://127.0.0.1:${to.port}/kept`)).text(), "Hello, kept!\n");
        assert.doesNotMatch(to.said(), /error/i);
        await end(to);
    });

    it("finds the pod of a Service", async () => {
        const to = await forward("service/server", 80);
        assert.equal(await get(to, "/by-service"), "Hello, by-service!\n");
        await end(to);
    });

    it("carries lines to a program that listens by a socket of its own", async () => {
        const listens = await world.start("listens", {
            main: {
                image: underTest().modules.component.image,
                args: ["listen", String(PORT + 1)],
                ports: [{ containerPort: PORT + 1 }],
                readinessProbe: { tcpSocket: { port: PORT + 1 }, periodSeconds: 1 },
            },
        });
        await world.untilPod(listens, "Ready", isReady);
        const to = await forward("pod/listens", PORT + 1);
        const socket = connect(to.port, "127.0.0.1");
        socket.write("hello\n");
        let heard = "";
        while (!heard.endsWith("\n")) heard += String((await once(socket, "data"))[0]);
        assert.equal(heard, "HELLO\n");
        socket.destroy();
        await end(to);
        await world.remove(listens, 0);
    });

    it("says of a port where nobody listens which ones there are", async () => {
        const to = await forward("pod/server", 9);
        await assert.rejects(get(to, "/"));
        // kubectl's log escapes the quotes.
        const words = /error forwarding port 9: pod \\?"server\\?" listens on 18195 alone/;
        await world.until("what kubectl says", () => (words.test(to.said()) ? true : undefined), {
            explain: to.said,
        });
        await end(to);
    });

    it("says of a pod whose program runs to its end that it has no port", async () => {
        const program = await world.start("program", { args: ["ticks", "200", "0"] });
        await world.untilRunning(program);
        const asked = await world.kubectl(
            ["port-forward", `--namespace=${world.namespace}`, "pod/program", ":80"],
            { timeoutSeconds: 20 },
        );
        assert.notEqual(asked.exitCode, 0);
        assert.match(asked.stderr, /no container of pod "program" listens/);
    });

    it("ends with its client, and reaches nobody once the pod has gone", async () => {
        const { pid } = agent();
        const to = await forward("pod/server", PORT);
        assert.equal(await get(to, "/before"), "Hello, before!\n");
        await end(to);
        const again = await forward("pod/server", PORT);
        assert.equal(await get(again, "/after"), "Hello, after!\n");
        await world.remove(pod, 1);
        await world.until("the pod's end", () =>
            world.pods.goneAt(pod.metadata.uid ?? "") ? true : undefined,
        );
        await assert.rejects(get(again, "/gone"));
        await end(again);
        assert.equal(agent().pid, pid);
    });
});
