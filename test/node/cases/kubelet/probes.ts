// Probes of a server: what they say of it, and what comes of that.
import type { Container } from "../../lib/pod";
import type { Case, Outcome } from "../../runCase";
import { serving } from "../serving";

const http = (path: string) => ({ httpGet: { path, port: "http" }, periodSeconds: 1, failureThreshold: 1 });
/** What the server answers well, and what it does not. */
const [good, bad] = [http("/you"), http("/a.b")];
const failed = (which: string) =>
    new RegExp(`^Warning Unhealthy: ${which} probe failed: HTTP probe failed with statuscode: 404`);

/** The port is the pod's own: nobody else in the suite listens there. */
function probed(
    port: number,
    name: string,
    main: Partial<Container>,
    expect: Outcome,
    kubelet?: Outcome,
): Case {
    const { spec, ...parts } = serving(port, { args: ["serve", String(port)], ...main });
    return { name, ...parts, spec: { ...spec, terminationGracePeriodSeconds: 1 }, expect, kubelet };
}

const restarted = { restarts: 1, last: /^terminated \w+ 137$/ };

export const probeCases = (): readonly Case[] => [
    probed(
        18501,
        "probes that all succeed: Ready",
        { startupProbe: good, readinessProbe: good, livenessProbe: good },
        {
            phase: "Running",
            conditions: { ContainersReady: "True", Ready: "True" },
            containers: { main: { state: "running", restarts: 0, ready: true, started: true } },
            events: ["Pulled", "Created", "Started"],
        },
    ),
    probed(
        18502,
        "a readiness probe that fails: it runs, and is not Ready",
        { readinessProbe: bad },
        {
            phase: "Running",
            conditions: { ContainersReady: "False ContainersNotReady", Ready: "False ContainersNotReady" },
            containers: { main: { state: "running", restarts: 0, ready: false, started: true } },
            notes: [failed("Readiness")],
        },
    ),
    probed(
        18503,
        "a readiness probe of a port where nobody listens",
        { readinessProbe: { tcpSocket: { port: 1 }, periodSeconds: 1 } },
        // A module listens on one port, and so this can never succeed: it does not start.
        {
            phase: "Pending",
            containers: {
                main: {
                    state: "waiting CreateContainerConfigError",
                    message: /^readinessProbe: port 1 is not the container's/,
                },
            },
        },
        {
            phase: "Running",
            containers: { main: { state: "running", restarts: 0, ready: false, started: true } },
            notes: [
                /^Warning Unhealthy: Readiness probe failed: dial tcp [\d.]+:1: connect: connection refused/,
            ],
        },
    ),
    probed(
        18504,
        "a liveness probe that fails: started again",
        { livenessProbe: bad },
        {
            containers: { main: restarted },
            notes: [
                failed("Liveness"),
                /^Normal Killing: Container main failed liveness probe, will be restarted/,
            ],
        },
    ),
    probed(
        18505,
        "a startup probe that fails: it has never started, and is begun again",
        { startupProbe: bad, readinessProbe: good },
        {
            containers: { main: { ...restarted, started: false, ready: false } },
            notes: [
                failed("Startup"),
                /^Normal Killing: Container main failed startup probe, will be restarted/,
            ],
        },
    ),
    probed(
        18506,
        "a startup probe that has not succeeded yet: the others wait for it",
        { startupProbe: { ...bad, failureThreshold: 60 }, livenessProbe: bad },
        {
            phase: "Running",
            conditions: { Ready: "False ContainersNotReady" },
            containers: { main: { state: "running", restarts: 0, ready: false, started: false } },
            notes: [failed("Startup")],
        },
    ),
];
