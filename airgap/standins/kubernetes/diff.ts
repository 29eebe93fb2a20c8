// What differs between a live object and new inputs, and whether that needs a replacement.
import type { PropertyChange } from "../lib/provider";
import type { Props, Value } from "../lib/values";
import { equal, isProps } from "../lib/values";
import { touches } from "./kinds";

type Step = string | number;

export interface DiffSources {
    /** The live object, as far as the last inputs speak of it. */
    live: Props;
    /** The inputs of the last deployment. */
    oldInputs: Props;
    newInputs: Props;
    /** Paths whose change needs a replacement. */
    replacing: readonly string[];
}

/** The changes by property path, as the engine writes paths: `spec.containers[0].image`. */
export function diffObjects(sources: DiffSources): Map<string, PropertyChange> {
    const changes = new Map<string, PropertyChange>();
    compareProps([], sources.live, sources.newInputs, sources.oldInputs, (path, kind, value) => {
        const replace = sources.replacing.some((pattern) => touches(nest(path, value), pattern));
        changes.set(pathText(path), { kind, replace, inputDiff: kind === "delete" });
    });
    return changes;
}

type Report = (path: Step[], kind: PropertyChange["kind"], value: Value) => void;

function compareProps(path: Step[], live: Props, news: Props, olds: Value | undefined, report: Report): void {
    const oldProps = isProps(olds) ? olds : {};
    for (const key of new Set([...Object.keys(live), ...Object.keys(news)])) {
        compare([...path, key], live[key], news[key], oldProps[key], report);
    }
}

function compare(
    path: Step[],
    live: Value | undefined,
    next: Value | undefined,
    old: Value | undefined,
    report: Report,
): void {
    if (equal(live, next)) {
        return;
    }
    if (next === undefined) {
        report(path, "delete", null);
        return;
    }
    if (old !== undefined && equal(old, next)) {
        // The inputs are what they were when this live object was recorded, so the difference is how the API server writes
        // them ("0.5" as "500m", an empty list as none). A drift is none of this: a refresh records it in the inputs too.
        return;
    }
    if (live === undefined) {
        report(path, "add", next);
    } else if (isProps(live) && isProps(next)) {
        compareProps(path, live, next, old, report);
    } else if (Array.isArray(live) && Array.isArray(next)) {
        const oldList = Array.isArray(old) ? old : [];
        for (let i = 0; i < Math.max(live.length, next.length); i++) {
            compare([...path, i], live[i], next[i], oldList[i], report);
        }
    } else {
        report(path, "update", next);
    }
}

/** The value as the only leaf of a tree, to look up patterns in; a list's index is of no matter. */
function nest(path: Step[], value: Value): Value {
    return path.reduceRight<Value>(
        (inner, step) => (typeof step === "number" ? [inner] : { [step]: inner }),
        value,
    );
}

function pathText(path: Step[]): string {
    let text = "";
    for (const step of path) {
        if (typeof step === "number") text += `[${step}]`;
        else if (/[."[\]]/.test(step)) text += `["${step.replaceAll('"', '\\"')}"]`;
        else text += text === "" ? step : `.${step}`;
    }
    return text;
}

/** Whether a property path is the other, or lies in it. `*` stands for any one step. */
export function pathContains(outer: string, inner: string): boolean {
    const [a, b] = [pathSteps(outer), pathSteps(inner)];
    return a.length <= b.length && a.every((step, i) => step === "*" || step === b[i]);
}

/** `a.b[0]["c.d"]` as its steps. */
export function pathSteps(path: string): string[] {
    const steps = path.match(/\["(?:[^"\\]|\\.)*"\]|\[[^\]]*\]|[^.[\]]+/g) ?? [];
    return steps.map((step) => {
        if (step.startsWith('["')) return step.slice(2, -2).replaceAll('\\"', '"');
        return step.startsWith("[") ? step.slice(1, -1) : step;
    });
}
