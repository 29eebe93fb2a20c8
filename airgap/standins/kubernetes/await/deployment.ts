// A deployment is ready when its controller has seen this generation, it is Available, the replica set of its current
// revision has its pods ready, and (from the second revision on) that replica set is the one it was progressing to.
import type { Props } from "../../lib/values";
import { isProps, listAt, numberAt, textAt } from "../../lib/values";
import type { WatchEvent } from "../client";
import { annotation, isOwnedBy, namespaceOf, objectName } from "../metadata";
import type { AwaitContext, Awaiter, Watch } from "./awaiter";
import { watchSelf } from "./awaiter";
import { condition } from "./pod";
import { OwnedPods } from "./workloads";

const revisionAnnotation = "deployment.kubernetes.io/revision";

class DeploymentState {
    deployment: Props;
    private readonly replicaSets = new Map<string, Props>();
    private readonly claims = new Map<string, Props>();
    readonly pods: OwnedPods;

    constructor(private readonly context: AwaitContext) {
        this.deployment = context.object;
        this.pods = new OwnedPods(context, () => this.currentReplicaSet());
    }

    seeDeployment({ type, object }: WatchEvent): void {
        const generation = (o: Props): number => numberAt(o, "metadata", "generation") ?? 0;
        if (type === "DELETED" || generation(object) < generation(this.context.object)) {
            return;
        }
        this.deployment = object;
        for (const problem of this.conditionProblems()) {
            this.context.status("warning", problem);
        }
    }

    seeReplicaSet({ type, object }: WatchEvent): void {
        if (!isOwnedBy(object, this.context.object)) {
            return;
        }
        const revision = annotation(object, revisionAnnotation);
        if (type === "DELETED") {
            this.replicaSets.delete(revision);
            return;
        }
        this.replicaSets.set(revision, object);
        const { ready, wanted } = replicas(object);
        if (revision === this.revision() && !this.replicaSetReady()) {
            this.context.status(
                "info",
                `Waiting for app ReplicaSet to be available (${ready ?? 0}/${wanted} Pods available)`,
            );
        }
    }

    seeClaim({ type, object }: WatchEvent): void {
        const uid = textAt(object, "metadata", "uid");
        this.claims.delete(uid);
        if (type !== "DELETED" && this.claimNames().includes(objectName(object))) {
            this.claims.set(uid, object);
        }
    }

    claimNames(): string[] {
        return listAt(this.deployment, "spec", "template", "spec", "volumes")
            .map((volume) => textAt(volume, "persistentVolumeClaim", "claimName"))
            .filter((name) => name !== "");
    }

    private revision(): string {
        return annotation(this.deployment, revisionAnnotation);
    }

    private currentReplicaSet(): Props | undefined {
        return this.replicaSets.get(this.revision());
    }

    /** The replica set of the current revision has all its pods ready, and is a new one if the change made a new one. */
    private replicaSetReady(): boolean {
        const current = this.currentReplicaSet();
        if (current === undefined) {
            return false;
        }
        const { ready, wanted } = replicas(current);
        return ready === undefined ? wanted === 0 : ready >= wanted;
    }

    private available(): boolean {
        return condition(this.deployment, "Available")?.status === "True";
    }

    private progressed(): boolean {
        const progressing = condition(this.deployment, "Progressing");
        return (
            this.revision() === "1" ||
            (progressing?.status === "True" && progressing.reason === "NewReplicaSetAvailable")
        );
    }

    private unboundClaims(): string[] {
        return [...this.claims.values()]
            .filter((claim) => textAt(claim, "status", "phase") !== "Bound")
            .map((claim) => objectName(claim));
    }

    ready(): Props | undefined {
        const observed =
            numberAt(this.deployment, "status", "observedGeneration") ===
            numberAt(this.deployment, "metadata", "generation");
        const done =
            observed &&
            this.available() &&
            this.progressed() &&
            this.replicaSetReady() &&
            this.unboundClaims().length === 0;
        return done ? this.deployment : undefined;
    }

    private conditionProblems(): string[] {
        return ["Progressing", "Available"].flatMap((type) => {
            const found = condition(this.deployment, type);
            return isProps(found) && found.status !== "True"
                ? [`[${textAt(found, "reason")}] ${textAt(found, "message")}`]
                : [];
        });
    }

    problems(): string[] {
        const problems = this.conditionProblems();
        const unbound = this.unboundClaims();
        if (unbound.length > 0) {
            problems.push(`Failed to bind PersistentVolumeClaim(s): "${unbound.join(",")}"`);
        }
        if (!this.available()) {
            problems.push("Minimum number of live Pods was not attained");
        } else if (!this.progressed()) {
            problems.push("Minimum number of Pods to consider the application live was not attained");
        } else if (!this.replicaSetReady()) {
            problems.push(
                "Attempted to roll forward to new ReplicaSet, but minimum number of Pods did not become live",
            );
        }
        return [...problems, ...this.pods.problems()];
    }
}

function replicas(replicaSet: Props): { ready: number | undefined; wanted: number } {
    return {
        ready: numberAt(replicaSet, "status", "readyReplicas"),
        wanted: numberAt(replicaSet, "spec", "replicas") ?? 1,
    };
}

export async function deploymentAwaiter(context: AwaitContext): Promise<Awaiter> {
    const { client, object } = context;
    const state = new DeploymentState(context);
    const collection = (apiVersion: string, kind: string): Promise<string> =>
        client.path(apiVersion, kind, namespaceOf(object));
    const watches: Watch[] = [
        await watchSelf(context, (event) => state.seeDeployment(event)),
        { collection: await collection("apps/v1", "ReplicaSet"), on: (event) => state.seeReplicaSet(event) },
        await state.pods.watch(),
    ];
    if (state.claimNames().length > 0) {
        const claims = await collection("v1", "PersistentVolumeClaim");
        watches.push({ collection: claims, on: (event) => state.seeClaim(event) });
    }
    return {
        watches,
        ready: () => {
            const ready = state.ready();
            if (ready !== undefined) {
                context.status("info", "Deployment initialization complete");
            }
            return ready;
        },
        latest: () => state.deployment,
        problems: () => state.problems(),
        tick: () => state.pods.problems().forEach((problem) => context.status("warning", problem)),
    };
}
