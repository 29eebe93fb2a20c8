// What is said of a workload that did not come up: its pods, events and last log lines. Pure.
import type { ContainerState, ContainerStatus, WorkloadPod } from "./workload";
import { containersOf } from "./workload";

/** How many pods, events and log lines are shown. */
export const shown = { pods: 5, events: 20, logLines: 20 };

/** Longest line of an event or a log that is shown whole, in characters. */
const LINE = 500;

export interface WorkloadEvent {
    type?: string;
    reason?: string;
    message?: string;
    count?: number;
    series?: { count?: number; lastObservedTime?: string };
    involvedObject: { kind?: string; name?: string };
    eventTime?: string | null;
    lastTimestamp?: string | null;
    firstTimestamp?: string | null;
    metadata?: { creationTimestamp?: string };
}

/** The last lines of one run of a container. */
export interface LogPiece {
    pod: string;
    container: string;
    /** Of the run before the present one. */
    previous: boolean;
    /** What it wrote, or why that could not be read. */
    text: string;
    /** Whether `text` is a reason instead of a log. */
    unread?: boolean;
}

export interface Report {
    /** `Deployment default/hello-1a2b3c4d` */
    workload: string;
    /** What is wrong, in a sentence. */
    problem: string;
    pods: readonly WorkloadPod[];
    events: readonly WorkloadEvent[];
    logs: readonly LogPiece[];
    /** What to do. */
    advice: string;
    /** Milliseconds since 1970. */
    now: number;
}

/** The whole message. */
export function render(report: Report): string {
    return [
        `${report.workload}: ${report.problem}`,
        ...section("Pods", podLines(report.pods), "there are none"),
        ...section("Events, the newest last", eventLines(report.events, report.now), "there are none"),
        ...report.logs.flatMap(logLines),
        `What to do: ${report.advice}.`,
    ].join("\n");
}

function section(title: string, lines: string[], none: string): string[] {
    return lines.length === 0 ? [`${title}: ${none}`] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
}

function podLines(pods: readonly WorkloadPod[]): string[] {
    const lines = pods.slice(0, shown.pods).flatMap((pod) => {
        const { phase = "Pending", reason, message, conditions = [] } = pod.status ?? {};
        const scheduled = conditions.find(({ type }) => type === "PodScheduled");
        const unscheduled = scheduled?.status === "False" ? scheduled : undefined;
        const why = describe(reason ?? unscheduled?.reason, message ?? unscheduled?.message);
        const where = pod.spec?.nodeName ? ` on node ${pod.spec.nodeName}` : "";
        return [
            cut(`${pod.metadata.name}${where}: ${phase}${why && `, ${why}`}`),
            ...containersOf(pod).map((container) => cut(`  container ${containerLine(container)}`)),
        ];
    });
    const more = pods.length - shown.pods;
    return more > 0 ? [...lines, `and ${more} more`] : lines;
}

function containerLine({ name, state, lastState, restartCount = 0 }: ContainerStatus): string {
    const restarts =
        restartCount > 0 ? `; restarted ${restartCount} ${restartCount === 1 ? "time" : "times"}` : "";
    const before = lastState?.terminated ? `; before that ${stateLine(lastState)}` : "";
    return `${name}: ${stateLine(state)}${restarts}${before}`;
}

function stateLine(state: ContainerState | undefined): string {
    if (state?.terminated) {
        const { exitCode, reason, message } = state.terminated;
        return `ended with exit code ${exitCode}${withWhy(reason, message)}`;
    }
    if (state?.waiting) return `waits${withWhy(state.waiting.reason, state.waiting.message)}`;
    return state?.running ? "runs" : "has no state yet";
}

function withWhy(reason?: string, message?: string): string {
    const why = describe(reason, message);
    return why && ` (${why})`;
}

function describe(reason?: string, message?: string): string {
    return [reason, message?.trim()].filter(Boolean).join(": ");
}

/** When an event came last, in milliseconds since 1970. */
export function timeOf(event: WorkloadEvent): number {
    const { series, lastTimestamp, eventTime, firstTimestamp, metadata } = event;
    const times = [series?.lastObservedTime, lastTimestamp, eventTime, firstTimestamp];
    return Date.parse(times.find(Boolean) ?? metadata?.creationTimestamp ?? "") || 0;
}

function eventLines(events: readonly WorkloadEvent[], now: number): string[] {
    const sorted = [...events].sort((one, other) => timeOf(one) - timeOf(other)).slice(-shown.events);
    return sorted.map((event) => {
        const { type = "Normal", reason = "", message = "", involvedObject } = event;
        const count = event.series?.count ?? event.count ?? 1;
        const age = `${Math.max(0, Math.round((now - timeOf(event)) / 1000))} s ago`;
        const whose = `${involvedObject.kind ?? "object"} ${involvedObject.name ?? ""}`.trim();
        const times = count > 1 ? ` (${count} times)` : "";
        return cut(
            `${age}: ${type} ${reason} of ${whose}${times}: ${message.trim().replace(/\s*\n\s*/g, " ")}`,
        );
    });
}

function logLines({ pod, container, previous, text, unread }: LogPiece): string[] {
    const run = previous ? ", the run before" : "";
    const title = `Log of container ${container} of pod ${pod}${run}`;
    if (unread) return [`${title}: ${cut(text.trim())}`];
    const lines = text.trimEnd().split("\n").slice(-shown.logLines);
    if (text.trim() === "") return [`${title}: it has written nothing`];
    return [`${title}, the last lines:`, ...lines.map((line) => `  | ${cut(line)}`)];
}

function cut(line: string): string {
    return line.length > LINE ? `${line.slice(0, LINE)}…` : line;
}
