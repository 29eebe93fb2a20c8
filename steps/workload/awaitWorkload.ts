import type { AwaitedService, AwaitWorkloadInput, AwaitWorkloadOutput } from "../contract";
import { previousOutput } from "../lib/claim";
import { StepError } from "../lib/errors";
import { earlierRun } from "../lib/journal";
import { removeEarlier } from "../lib/kube/claimed";
import { Kube, KubeError } from "../lib/kube/kube";
import { accessOf } from "../lib/kube/access";
import {
    boolean,
    dnsLabel,
    integer,
    object,
    objectName,
    oneOf,
    optional,
    sha256Hex,
    text,
} from "../lib/schema";
import { pause, progress, step } from "../lib/step";
import { WorkloadKind } from "./contract";
import { fieldsOf } from "./fields";
import { anyReady, awaitEndpoints, settleService } from "./serving/service";
import { judge, troublesOf, type Verdict, type WorkloadObject } from "./workload";
import {
    collectionOf,
    eventsOf,
    logsOf,
    pressures,
    runningOf,
    type Running,
    type WorkloadName,
} from "./workloadLook";
import { render } from "./workloadReport";

const input = object<AwaitWorkloadInput>({
    kubeconfigFile: text,
    kind: oneOf(Object.values(WorkloadKind)),
    namespace: dnsLabel,
    name: objectName,
    uid: text,
    generation: integer(0, Number.MAX_SAFE_INTEGER),
    timeoutSeconds: integer(1, 86_400),
    applied: sha256Hex,
    alone: optional(boolean),
    service: optional(
        object<AwaitedService>({
            name: dnsLabel,
            uid: text,
            applied: sha256Hex,
            because: optional(text),
            lost: optional(text),
        }),
    ),
    because: optional(text),
    lost: optional(text),
});

/** How long the workload alone is watched before its pods are looked at, in seconds. */
const ROUND_SECONDS = 2;

/** How long programs must have been running before that is taken for good, in milliseconds. */
const STEADY_MILLISECONDS = 1000;

/** How long the API server may be away (a restart), in milliseconds. */
const AWAY_MILLISECONDS = 30_000;

/** What was found out about a workload that will not come up. */
class WorkloadFailure extends Error {
    constructor(
        readonly problem: string,
        readonly advice: string,
    ) {
        super(problem);
    }
}

/** Waits until a workload is Ready or complete. Fails as soon as nothing will come of it, and says why with all that tells of it. */
export async function awaitWorkload(given: AwaitWorkloadInput): Promise<AwaitWorkloadOutput> {
    const { namespace, timeoutSeconds, service, alone } = given;
    const deadline = Date.now() + timeoutSeconds * 1000;
    const which: WorkloadName = { kind: given.kind, namespace, name: given.name };
    const title = `${which.kind} ${namespace}/${which.name}`;
    const kube = new Kube(await accessOf(given.kubeconfigFile));
    const wait = new Wait(kube, which, given.uid);
    // What the run before this one waited for is in Pulumi's state, if that has this wait itself: a destroy that was ended takes both out of it,
    // and leaves what goes with its cluster where it is.
    const known =
        previousOutput() === undefined ? undefined : (earlierRun()?.input as AwaitWorkloadInput | undefined);
    const endEarlier = async (object: WorkloadObject | undefined) => {
        if (object !== undefined) await removeEarlier(kube, collectionOf(which), object, known?.uid);
    };
    try {
        await wait.until(deadline, timeoutSeconds, async () => {
            if (alone) await endEarlier(await kube.find(`${collectionOf(which)}/${which.name}`));
        });
    } catch (error) {
        if (!(error instanceof WorkloadFailure)) throw error;
        const { problem, advice } = error;
        const running = await wait.running();
        const [events, logs] = await Promise.all([
            eventsOf(kube, namespace, running),
            logsOf(kube, namespace, running),
        ]);
        throw new StepError(
            render({ workload: title, problem, pods: running.pods, events, logs, advice, now: Date.now() }),
            { cause: error },
        );
    }
    progress(
        `${title} is ${which.kind === "Job" ? "complete" : which.kind === "CronJob" ? "there" : "ready"}`,
    );
    await endEarlier(wait.object);
    if (service !== undefined && anyReady((await wait.running()).pods))
        await awaitEndpoints(kube, namespace, service.name, deadline);
    const passing = wait.object?.spec?.ttlSecondsAfterFinished !== undefined;
    return {
        kind: which.kind,
        namespace,
        name: which.name,
        fields: wait.object && fieldsOf(wait.object),
        ...(service && {
            serviceFields: await settleService(kube, namespace, service.name, known?.service?.uid),
            serviceApplied: service.applied,
        }),
        ...(passing && { passing }),
    };
}

class Wait {
    private last: WorkloadObject | undefined;
    private told = "";
    /** Why nodes take no new pods, which its pods wait for. */
    private pressures: string[] = [];
    /** When each trouble was seen first, in milliseconds since 1970. */
    private readonly since = new Map<string, number>();

    constructor(
        private readonly kube: Kube,
        private readonly which: WorkloadName,
        private readonly uid: string,
    ) {}

    /** Returns when the workload is as it should be. `first` comes before the first look at it. */
    async until(deadline: number, timeoutSeconds: number, first: () => Promise<void>): Promise<void> {
        let awaySince: number | undefined;
        let begun = false;
        for (;;) {
            try {
                if (!begun) await first();
                begun = true;
                if (await this.round(deadline)) return;
                awaySince = undefined;
            } catch (error) {
                const away = error instanceof KubeError && error.unanswered;
                awaySince ??= Date.now();
                if (!away || Date.now() > Math.min(deadline, awaySince + AWAY_MILLISECONDS)) throw error;
                await pause(1000);
            }
            if (Date.now() >= deadline) {
                const limit = `not ${this.which.kind === "Job" ? "complete" : "Ready"} within ${timeoutSeconds} s`;
                throw new WorkloadFailure(
                    `${limit}: ${this.told}`,
                    "read the events and log lines above and mend what they name; if it only needs more time, raise waitTimeoutSeconds",
                );
            }
        }
    }

    /** The workload as it was seen last. */
    get object(): WorkloadObject | undefined {
        return this.last;
    }

    /** What the workload runs, as far as it is known. */
    async running(): Promise<Running> {
        if (this.last === undefined) return { pods: [], owners: [this.uid] };
        return runningOf(this.kube, this.which, this.last);
    }

    private async round(deadline: number): Promise<boolean> {
        this.last = undefined;
        const seconds = Math.max(1, Math.min(ROUND_SECONDS, (deadline - Date.now()) / 1000));
        const field = encodeURIComponent(`metadata.name=${this.which.name}`);
        const verdict = await this.kube.watch<WorkloadObject, Verdict>(
            `${collectionOf(this.which)}?fieldSelector=${field}`,
            seconds,
            ({ object: now }) => {
                const found = this.look(now);
                return Promise.resolve(found.state === "waiting" ? undefined : found);
            },
        );
        if (this.last === undefined) {
            const { kind, namespace, name: objectName } = this.which;
            throw new StepError(
                `${kind} ${namespace}/${objectName} is gone; run \`pulumi up\` again, which makes it anew`,
            );
        }
        if (verdict?.state === "done" && (!verdict.lasting || (await this.lasts()))) return true;
        if (verdict?.state === "failed") throw new WorkloadFailure(verdict.what, verdict.advice);
        await this.lookAtPods();
        return false;
    }

    /** What a version of the workload says. */
    private look(now: WorkloadObject): Verdict {
        const { kind, namespace, name: objectName } = this.which;
        if (now.metadata.uid !== this.uid) {
            throw new StepError(
                `${kind} ${namespace}/${objectName} is another object of that name; run \`pulumi up\` again, which makes its own anew`,
            );
        }
        this.last = now;
        const verdict = judge(kind, now);
        if (verdict.state === "waiting") this.tell(verdict.what);
        return verdict;
    }

    /** A program that fails at once was Ready for an instant. */
    private async lasts(): Promise<boolean> {
        await pause(STEADY_MILLISECONDS);
        const path = `${collectionOf(this.which)}/${this.which.name}`;
        const now = await this.kube.find<WorkloadObject>(path);
        return now !== undefined && this.look(now).state === "done";
    }

    private async lookAtPods(): Promise<void> {
        const { last } = this;
        if (last === undefined) return;
        const running = await runningOf(this.kube, this.which, last);
        this.pressures = await pressures(this.kube, running);
        const troubles = troublesOf(this.which.kind, last, running.pods);
        for (const key of this.since.keys()) {
            if (!troubles.some((trouble) => trouble.key === key)) this.since.delete(key);
        }
        const now = Date.now();
        for (const { key, what, advice, patienceSeconds } of troubles) {
            const since = this.since.get(key) ?? now;
            this.since.set(key, since);
            if (now - since >= patienceSeconds * 1000) throw new WorkloadFailure(what, advice);
            this.tell(what);
        }
    }

    private tell(found: string): void {
        const what = [found, ...this.pressures].join("; ");
        if (what !== this.told)
            progress(`${this.which.kind} ${this.which.namespace}/${this.which.name}: ${what}`);
        this.told = what;
    }
}

step(module, "awaitWorkload", input, awaitWorkload);
