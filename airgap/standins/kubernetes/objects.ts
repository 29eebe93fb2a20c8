// The forms of one object: the program's inputs, the live object, and the state that is recorded from both.
import type { Props, Value } from "../lib/values";
import {
    at,
    clone,
    containsSecret,
    containsUnknown,
    isProps,
    isSecret,
    mapProps,
    removeAt,
    secret,
    textOf,
    unwrapProps,
} from "../lib/values";
import { isBuiltIn, isSecretObject, kindOfObject } from "./kinds";

const inputsKey = "__inputs";
const apiVersionKey = "__initialApiVersion";
export const fieldManagerKey = "__fieldManager";

const serverFields = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
];

/**
 * In the SDKs' classes the OpenAPI extensions of a CustomResourceDefinition are written with underscores, in Kubernetes with
 * dashes.
 */
const extensions = new Map(
    [
        "x-kubernetes-embedded-resource",
        "x-kubernetes-int-or-string",
        "x-kubernetes-list-map-keys",
        "x-kubernetes-list-type",
        "x-kubernetes-map-type",
        "x-kubernetes-preserve-unknown-fields",
        "x-kubernetes-validations",
    ].map((dashed) => [dashed.replaceAll("-", "_"), dashed]),
);
const extensionsBack = new Map([...extensions].map(([underscored, dashed]) => [dashed, underscored]));

function renameKeys(value: Value, names: ReadonlyMap<string, string>): Value {
    if (Array.isArray(value)) {
        return value.map((element) => renameKeys(element, names));
    }
    if (!isProps(value)) {
        return value;
    }
    return Object.fromEntries(
        Object.entries(value).map(([key, v]) => [names.get(key) ?? key, renameKeys(v, names)]),
    );
}

/** The Kubernetes object of property values: no secret marks, dashed extension names. */
export function toObject(props: Props): Props {
    return renameKeys(unwrapProps(props), extensions) as Props;
}

/** Inputs in the form in which the API server returns them, so that writing the same thing otherwise is no change. */
export function normalize(inputs: Props): Props {
    let result = clone(inputs);
    if (!containsUnknown(result) && isBuiltIn(kindOfObject(result))) {
        result = dropNulls(result);
        if (isSecretObject(result)) {
            normalizeSecret(result);
        }
        if (kindOfObject(result).kind === "CustomResourceDefinition") {
            delete result.status;
            if (at(result, "spec", "preserveUnknownFields") === false) {
                removeAt(result, "spec", "preserveUnknownFields");
            }
        }
    }
    for (const field of serverFields) {
        removeAt(result, "metadata", field);
    }
    return result;
}

function dropNulls(object: Props): Props {
    const drop = (value: Value): Value => {
        if (Array.isArray(value)) {
            return value.map(drop);
        }
        return isProps(value) ? dropNulls(value) : value;
    };
    return mapProps(Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null)), drop);
}

function normalizeSecret(object: Props): void {
    const data: Props = isProps(object.data) ? object.data : {};
    const stringData = object.stringData;
    for (const [key, value] of Object.entries(data)) {
        if (typeof value === "string") {
            data[key] = Buffer.from(value, "base64").toString("base64"); // no blanks in it, padded
        }
    }
    if (isProps(stringData) && Object.keys(stringData).length > 0) {
        for (const [key, value] of Object.entries(stringData)) {
            data[key] = Buffer.from(textOf(value), "utf8").toString("base64");
        }
        object.data = data;
        delete object.stringData;
    }
}

/** The part of a live object that the inputs speak of. */
export function prune(live: Props, inputs: Props): Props {
    const result: Props = {};
    for (const [key, value] of Object.entries(live)) {
        if (key in inputs) {
            result[key] = pruneValue(value, inputs[key]);
        }
    }
    return result;
}

function pruneValue(live: Value, input: Value): Value {
    if (isProps(live) && isProps(input)) {
        return prune(live, input);
    }
    if (Array.isArray(live) && Array.isArray(input)) {
        if (live.length > 0 && input.length > 0 && shapeOf(live[0]) !== shapeOf(input[0])) {
            return clone(live);
        }
        return live.slice(0, input.length).map((element, i) => pruneValue(element, input[i]));
    }
    return live;
}

function shapeOf(value: Value): string {
    return Array.isArray(value) ? "array" : typeof value;
}

/**
 * Marks in `outs` what is secret in `ins`. Where both are objects only their secret parts are marked; a list that has a
 * secret becomes secret as a whole, for its order may change. A Secret's data are always secret.
 */
export function markSecrets(outs: Props, ins: Props): Props {
    if (outs.kind === "Secret") {
        return mapProps(outs, (value, key) =>
            key === "data" || key === "stringData" ? secret(value) : value,
        );
    }
    return mapProps(outs, (out, key) => {
        const input = ins[key];
        if (input === undefined) {
            return out;
        }
        if (isProps(out) && isProps(input) && !isSecret(out) && !isSecret(input)) {
            return markSecrets(out, input);
        }
        return containsSecret(input) ? secret(out) : out;
    });
}

/** Inputs as they are recorded: underscored extension names, secrets marked as in the program's own inputs. */
export function toProps(object: Props, from: Props): Props {
    return markSecrets(renameKeys(object, extensionsBack) as Props, from);
}

/** The state to record for a live object: its fields, and the inputs that it was made from. */
export function checkpoint(
    inputs: Props,
    live: Props,
    from: Props,
    initialApiVersion: string,
    fieldManager: string,
): Props {
    return {
        ...toProps(live, from),
        [inputsKey]: toProps(inputs, from),
        [apiVersionKey]: initialApiVersion,
        [fieldManagerKey]: fieldManager,
    };
}

export interface Recorded {
    inputs: Props;
    live: Props;
    initialApiVersion: string;
    fieldManager: string;
}

/** What a recorded state says. The live part keeps no trace of the bookkeeping. */
export function parseCheckpoint(state: Props): Recorded {
    const {
        [inputsKey]: inputs,
        [apiVersionKey]: apiVersion,
        [fieldManagerKey]: manager,
        ...live
    } = toObject(state);
    const recorded = isProps(inputs) ? inputs : {};
    const text = (value: Value | undefined): string => (typeof value === "string" ? value : "");
    return {
        inputs: recorded,
        live,
        initialApiVersion: text(apiVersion) || text(recorded.apiVersion),
        fieldManager: text(manager),
    };
}
