/** Programs that listen by sockets of their own: reached at their pod's address, by a Service and by `kubectl port-forward`, probed, and ended. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { becomes } from "./runCase";
import { isReady, ready } from "./cases/serving";
import type { KubeObject } from "./lib/api";
import type { Pod, PodParts } from "./lib/pod";
import { underTest } from "./underTest";
import { World } from "./lib/world";

/** Nobody else in the suite listens there. */
const PORTS = { reached: 18200, declared: 18201, other: 18202, ended: 18203, shared: 18204, job: 18205 };

/** workloads/probe as a component, whose container names this port. */
function listening(port: number, args: string[]): PodParts {
    return {
        labels: { app: `on-${port}` },
        main: {
            image: underTest().modules.component.image,
            args,
            ports: [{ name: "line", containerPort: port }],
            readinessProbe: { tcpSocket: { port: "line" }, periodSeconds: 1 },
        },
        spec: { restartPolicy: "Always" },
    };
}

describe("programs that listen", { timeout: 300_000 }, () => {
    let world: World;
    const sockets: Socket[] = [];
    before(async () => {
        world = await World.open("listening");
    });
    after(async () => {
        for (const socket of sockets) socket.destroy();
        await world.close();
    });

    const reach = async (pod: Pod, port: number): Promise<Socket> => {
        const socket = connect(port, pod.status.podIP);
        sockets.push(socket);
        await once(socket, "connect");
        return socket;
    };
    const say = async (socket: Socket, line: string): Promise<string> => {
        socket.write(`${line}\n`);
        let heard = "";
        while (!heard.endsWith("\n")) heard += String((await once(socket, "data"))[0]);
        return heard;
    };

    it("are ready from when they listen, and reached at their pod's address and by a Service", async () => {
        const port = PORTS.reached;
        await world.make({
            kind: "Service",
            metadata: { name: "lines" },
            spec: { selector: { app: `on-${port}` }, ports: [{ port: 80, targetPort: "line" }] },
        } as KubeObject);
        const pod = await world.start("reached", listening(port, ["sleep", "3000", "listen", String(port)]));
        await becomes(world, pod, {
            phase: "Running",
            conditions: { Ready: "False ContainersNotReady" },
            notes: [
                /^Warning Unhealthy: Readiness probe failed: dial tcp :18200: the program does not listen there/,
            ],
        });
        const now = await world.untilPod(pod, "Ready", isReady);
        assert.equal(await world.log(pod), `listening at ${now.status.podIP}:${port}\n`);
        const socket = await reach(now, port);
        assert.equal(await say(socket, "hello"), "HELLO\n");
        assert.equal(await say(socket, "again"), "AGAIN\n");
        socket.destroy();

        const { endpoints, port: theirs } = await ready(world, "lines");
        assert.deepEqual([endpoints[0].addresses, theirs], [[now.status.podIP], port]);
        const caller = await world.start("caller", {
            args: ["connect", "lines", "80", "connect", "lines", "81"],
            main: { image: underTest().modules.component.image },
            annotations: { "alpha.wasi.krustlet.dev/allowed-domains": JSON.stringify(["tcp://lines:80"]) },
        });
        await world.untilEnded(caller);
        assert.match(await world.log(caller), /^connected\nnot connected: /);
        await world.remove(pod, 0);
    });

    it("listen at the ports that their container names, and nowhere else", async () => {
        const parts = listening(PORTS.declared, ["listen", String(PORTS.other)]);
        const pod = await world.start("elsewhere", { ...parts, spec: { restartPolicy: "Never" } });
        const ended = await world.untilEnded(pod);
        assert.equal(ended.status.phase, "Failed");
        assert.match(await world.log(pod), /^probe: listen: .*ermission denied/);
        const none = await world.start("none", {
            args: ["listen", String(PORTS.other)],
            main: { image: underTest().modules.component.image },
        });
        assert.equal((await world.untilEnded(none)).status.phase, "Failed");
        assert.match(await world.log(none), /^probe: listen: .*ermission denied/);
    });

    it("share a port with the containers of their pod that do not listen just then", async () => {
        const port = PORTS.shared;
        const { main, ...parts } = listening(port, ["listen", String(port)]);
        const image = underTest().modules.component.image;
        const ports = [{ containerPort: port }];
        const pod = await world.start("shared", {
            ...parts,
            main,
            spec: {
                ...parts.spec,
                initContainers: [{ name: "first", image, args: ["print", "done"], ports }],
            },
        });
        await world.untilPod(pod, "Ready", isReady);
        await world.remove(pod, 0);
    });

    it("go on until their connections are closed, within their grace period", async () => {
        const port = PORTS.ended;
        const pod = await world.start("ended", listening(port, ["listen", String(port)]));
        const now = await world.untilPod(pod, "Ready", isReady);
        const socket = await reach(now, port);
        assert.equal(await say(socket, "hello"), "HELLO\n");
        await world.remove(pod, 60);
        // Longer than it takes all to hear of its end.
        await sleep(8000);
        assert.equal(await say(socket, "still there"), "STILL THERE\n");
        const closed = Date.now();
        socket.destroy();
        await world.untilGone(pod, closed, 30);
    });

    it("have their whole grace period where they are to come to their end", async () => {
        const port = PORTS.job;
        const parts = listening(port, ["listen", String(port)]);
        const pod = await world.start("job", { ...parts, spec: { restartPolicy: "Never" } });
        await world.untilPod(pod, "Ready", isReady);
        const begun = Date.now();
        await world.remove(pod, 12);
        assert.ok((await world.untilGone(pod, begun)) >= 12);
    });
});
