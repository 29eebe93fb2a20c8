// Which kinds are waited for, and how. All others are ready as soon as they exist.
import type { Props, Value } from "../../lib/values";
import { at, equal, isProps, textAt, textOf } from "../../lib/values";
import { annotation, annotations, hasAnnotation } from "../metadata";
import { pathSteps } from "../diff";
import type { AwaitContext, Awaiter, AwaiterFactory } from "./awaiter";
import { checkReady, waitUntilReady, watchSelf } from "./awaiter";
import { deploymentAwaiter } from "./deployment";
import { condition, podAwaiter } from "./pod";
import { serviceAwaiter } from "./service";
import { daemonSetAwaiter, jobAwaiter, replicationControllerAwaiter, statefulSetAwaiter } from "./workloads";

export { AwaitError, type AwaitContext } from "./awaiter";
export { waitUntilDeleted } from "./deleted";

interface Spec {
    awaiter: AwaiterFactory;
    /** Whether a refresh looks at readiness too. */
    onRead: boolean;
}

const specs: Record<string, Spec> = {
    "apps/v1/DaemonSet": { awaiter: daemonSetAwaiter, onRead: true },
    "apps/v1/Deployment": { awaiter: deploymentAwaiter, onRead: true },
    "apps/v1/StatefulSet": { awaiter: statefulSetAwaiter, onRead: true },
    "batch/v1/Job": { awaiter: jobAwaiter, onRead: true },
    "v1/Pod": { awaiter: podAwaiter, onRead: true },
    "v1/Service": { awaiter: serviceAwaiter, onRead: true },
    "v1/PersistentVolume": {
        awaiter: until(isPhase("Available", "Bound"), "PV is not available"),
        onRead: false,
    },
    "v1/PersistentVolumeClaim": { awaiter: claimAwaiter, onRead: false },
    "v1/ReplicationController": { awaiter: replicationControllerAwaiter, onRead: false },
    "v1/ResourceQuota": {
        awaiter: until(
            (quota) => equal(at(quota, "spec", "hard"), at(quota, "status", "hard")),
            "quota is not in force",
        ),
        onRead: false,
    },
    "v1/Secret": {
        awaiter: until(
            (found) =>
                textAt(found, "type") !== "kubernetes.io/service-account-token" || isFilled(found.data),
            "no token was issued",
        ),
        onRead: false,
    },
};

/** Waits for a created or updated object as its kind and annotations want, and returns it as it is then. */
export async function waitAfterChange(context: AwaitContext, inputs: Props): Promise<Props> {
    if (hasAnnotation(inputs, annotations.skipAwait)) {
        return context.object;
    }
    const custom = annotation(context.object, annotations.waitFor);
    const factory = custom === "" ? specs[kindKey(context.object)]?.awaiter : waitForAwaiter(custom);
    return factory === undefined ? context.object : waitUntilReady(context, await factory(context));
}

/** For a refresh: throws AwaitError if the object, which exists, is not ready. */
export async function checkOnRead(context: AwaitContext, inputs: Props): Promise<void> {
    const spec = specs[kindKey(context.object)];
    if (spec?.onRead && !hasAnnotation(inputs, annotations.skipAwait)) {
        await checkReady(context, await spec.awaiter(context));
    }
}

function kindKey(object: Props): string {
    return `${textAt(object, "apiVersion")}/${textAt(object, "kind")}`;
}

function isPhase(...phases: string[]): (object: Props) => boolean {
    return (object) => phases.includes(textAt(object, "status", "phase"));
}

function isFilled(value: Value | undefined): boolean {
    return isProps(value) && Object.keys(value).length > 0;
}

/** Waits for a predicate of the object alone. */
function until(test: (object: Props) => boolean, problem: string): AwaiterFactory {
    return async (context: AwaitContext): Promise<Awaiter> => {
        let object = context.object;
        const self = await watchSelf(context, (event) => {
            object = event.object;
        });
        return {
            watches: [self],
            ready: () => (test(object) ? object : undefined),
            latest: () => object,
            problems: () => [problem],
        };
    };
}

/** A claim is ready when bound; one that is bound only for its first pod, already while it waits for that pod. */
async function claimAwaiter(context: AwaitContext): Promise<Awaiter> {
    const className = textAt(context.object, "spec", "storageClassName");
    const path = await context.client.path("storage.k8s.io/v1", "StorageClass", "", className);
    const storageClass = className === "" ? undefined : await context.client.request("GET", path);
    const waits = textAt(storageClass, "volumeBindingMode") === "WaitForFirstConsumer";
    return until(waits ? isPhase("Bound", "Pending") : isPhase("Bound"), "PVC is not bound")(context);
}

/** The annotation pulumi.com/waitFor: one expression, or a JSON list of them that must all hold. */
export function waitForAwaiter(annotated: string): AwaiterFactory {
    let expressions: string[];
    try {
        const parsed: unknown = JSON.parse(annotated);
        expressions = Array.isArray(parsed) ? parsed.map(String) : [annotated];
    } catch {
        expressions = [annotated];
    }
    if (expressions.length === 0) {
        throw new Error("at least one condition must be specified");
    }
    const tests = expressions.map(waitForTest);
    return until((object) => tests.every((test) => test(object)), `not yet: ${expressions.join(" and ")}`);
}

function waitForTest(expression: string): (object: Props) => boolean {
    const wanted = /^condition=([^=]+)(?:=(.*))?$/.exec(expression);
    if (wanted) {
        const status = (wanted[2] ?? "True").toLowerCase();
        return (object) => textAt(condition(object, wanted[1]), "status").toLowerCase() === status;
    }
    const path = /^jsonpath=\{?\.?([^{}=]+)\}?(?:=(.*))?$/.exec(expression);
    if (path === null) {
        throw new Error(`expected a "jsonpath=" or "condition=" prefix, got "${expression}"`);
    }
    if (/[*?@]|\.\./.test(path[1])) {
        throw new Error(
            `the air-gapped stand-in of the kubernetes plugin serves only plain paths, got "${expression}"`,
        );
    }
    const steps = pathSteps(path[1]).map((step) => (/^\d+$/.test(step) ? Number(step) : step));
    return (object) => {
        const found = at(object, ...steps);
        return path[2] === undefined ? found !== undefined : found !== undefined && textOf(found) === path[2];
    };
}
