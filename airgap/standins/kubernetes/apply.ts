// The writing requests: create, server-side apply, delete. All take a dry run, which is how a preview is computed.
import type { Props, Value } from "../lib/values";
import { at, clone, isProps, listAt, mapProps, removeAt, setAt, textAt } from "../lib/values";
import type { KubeClient } from "./client";
import { ApiError, NoMatchError, isNotFound } from "./client";
import { pathSteps } from "./diff";
import { kindOfObject } from "./kinds";
import { annotations, hasAnnotation, namespaceOf, objectName } from "./metadata";

/** The field manager of creates; the first update hands its fields to the resource's own manager. */
const createManager = "pulumi-kubernetes";

const adoptedManagers = [
    ["kubectl", "Apply"],
    ["kubectl", "Update"],
    ["before-first-apply", "Update"],
    [createManager, "Update"],
    ["pulumi-resource-kubernetes", "Update"],
];

export interface WriteOptions {
    client: KubeClient;
    fieldManager: string;
    preview: boolean;
    /** Take over fields that others manage. */
    force: boolean;
}

const applyType = "application/apply-patch+yaml";
const retries = 5;

/** The preview cannot tell, for the object's namespace does not exist yet. */
export class NoNamespaceError extends Error {}

/**
 * Creates the object. A namespace or kind that is not there may yet come from a resource that is created at the same time, so
 * that is tried again for half a minute.
 */
export async function createObject(
    inputs: Props,
    options: WriteOptions & { upsert: boolean },
    onRetry: (message: string) => void,
): Promise<Props> {
    for (let attempt = 0; ; attempt++) {
        try {
            return await createOnce(inputs, options);
        } catch (err) {
            if (
                options.preview &&
                isNotFound(err) &&
                at((err as ApiError).details, "kind") === "namespaces"
            ) {
                throw new NoNamespaceError(`namespace does not exist for "${objectName(inputs)}"`);
            }
            if (err instanceof ApiError && err.reason === "AlreadyExists") {
                throw new ApiError(err.status, err.reason, err.message + alreadyExistsHelp, err.details);
            }
            const mayCome = isNotFound(err) || err instanceof NoMatchError;
            if (!mayCome || attempt === retries) {
                throw err;
            }
            onRetry(`Retry #${attempt}; creation failed: ${(err as Error).message}`);
            await new Promise((resolve) => setTimeout(resolve, 1000 * 2 ** attempt));
        }
    }
}

const alreadyExistsHelp =
    "\n\nAn object of that name is in the cluster already. To go on: give the old resource's name as an alias if it was " +
    "renamed in the program; run `pulumi import` to take the object over; or set upsertExistingObjects on the provider.";

async function createOnce(inputs: Props, options: WriteOptions & { upsert: boolean }): Promise<Props> {
    if (options.upsert) {
        return apply(inputs, objectName(inputs), options);
    }
    const path = await collectionPath(options.client, inputs);
    const query = { fieldManager: createManager, ...dryRun(options) };
    return options.client.request("POST", path, query, { json: inputs });
}

function collectionPath(client: KubeClient, object: Props): Promise<string> {
    return client.path(textAt(object, "apiVersion"), textAt(object, "kind"), namespaceOf(object));
}

function dryRun(options: WriteOptions): Record<string, string> {
    return options.preview ? { dryRun: "All" } : {};
}

async function apply(inputs: Props, name: string, options: WriteOptions): Promise<Props> {
    const path = `${await collectionPath(options.client, inputs)}/${encodeURIComponent(name)}`;
    const query = { fieldManager: options.fieldManager, force: String(options.force), ...dryRun(options) };
    try {
        return await options.client.request("PATCH", path, query, { json: inputs, type: applyType });
    } catch (err) {
        if (err instanceof ApiError && err.status === 409) {
            throw new ApiError(
                409,
                err.reason,
                `server-side apply field conflict detected\nThe resource managed by field manager ` +
                    `"${options.fieldManager}" had an apply conflict: ${err.message}`,
                err.details,
            );
        }
        throw err;
    }
}

export interface UpdateOptions extends Omit<WriteOptions, "force"> {
    serverSideApply: boolean;
    patchForce: boolean;
    ignoreChanges: readonly string[];
}

/** Brings the live object to the inputs and returns it. */
export async function updateObject(
    inputs: Props,
    live: Props,
    oldInputs: Props,
    options: UpdateOptions,
): Promise<Props> {
    if (kindOfObject(inputs).kind === "CustomResourceDefinition") {
        const replaced = clone(inputs);
        setAt(replaced, textAt(live, "metadata", "resourceVersion"), "metadata", "resourceVersion");
        const path = await options.client.pathOf(live);
        const query = { fieldManager: options.fieldManager, ...dryRun({ ...options, force: false }) };
        return options.client.request("PUT", path, query, { json: replaced });
    }
    if (!options.serverSideApply) {
        return mergePatch(inputs, live, oldInputs, options);
    }
    const current = options.preview ? live : await adoptFields(live, options);
    const wanted = keepIgnored(inputs, current, options);
    return apply(wanted, objectName(live), { ...options, force: mustForce(inputs, live, options) });
}

/** Without server-side apply: what the inputs have, set; what the last inputs had and these lack, removed. */
async function mergePatch(
    inputs: Props,
    live: Props,
    oldInputs: Props,
    options: UpdateOptions,
): Promise<Props> {
    const without = (olds: Props, news: Props): Props => ({
        ...mapProps(Object.fromEntries(Object.entries(olds).filter(([key]) => !(key in news))), () => null),
        ...mapProps(news, (value, key) => {
            const old = olds[key];
            return isProps(value) && isProps(old) ? without(old, value) : value;
        }),
    });
    const path = await options.client.pathOf(live);
    const query = { fieldManager: createManager, ...dryRun({ ...options, force: false }) };
    const json = without(oldInputs, keepIgnored(inputs, live, options));
    return options.client.request("PATCH", path, query, { json, type: "application/merge-patch+json" });
}

function mustForce(inputs: Props, live: Props, options: UpdateOptions): boolean {
    if (hasAnnotation(inputs, annotations.patchForce) || options.patchForce) {
        return true;
    }
    const managers = managedFields(live);
    if (managers.length === 0) {
        return true;
    }
    // The fields of our own create change hands only in the real update.
    return options.preview && managers.some((m) => m.operation === "Update" && m.manager === createManager);
}

function managedFields(object: Props): Props[] {
    return listAt(object, "metadata", "managedFields").filter(isProps);
}

/** Makes the resource's own field manager the manager of what its create, or kubectl, has set. */
async function adoptFields(live: Props, options: UpdateOptions): Promise<Props> {
    const fields = managedFields(live);
    const isOurs = (m: Props): boolean =>
        m.subresource === undefined &&
        (adoptedManagers.some(([name, operation]) => m.manager === name && m.operation === operation) ||
            (m.manager === options.fieldManager && m.operation === "Apply"));
    const ours = fields.filter(isOurs);
    if (!ours.some((m) => m.manager !== options.fieldManager)) {
        return live;
    }
    const merged: Props = {
        ...ours[0],
        manager: options.fieldManager,
        operation: "Apply",
        fieldsV1: ours.map((m) => (isProps(m.fieldsV1) ? m.fieldsV1 : {})).reduce(mergeFields),
    };
    const patch: Value = [
        {
            op: "replace",
            path: "/metadata/managedFields",
            value: [...fields.filter((m) => !isOurs(m)), merged],
        },
        {
            op: "replace",
            path: "/metadata/resourceVersion",
            value: textAt(live, "metadata", "resourceVersion"),
        },
    ];
    const path = await options.client.pathOf(live);
    return options.client.request("PATCH", path, {}, { json: patch, type: "application/json-patch+json" });
}

function mergeFields(a: Props, b: Props): Props {
    const merged: Props = { ...a };
    for (const [key, value] of Object.entries(b)) {
        const other = merged[key];
        merged[key] = isProps(other) && isProps(value) ? mergeFields(other, value) : value;
    }
    return merged;
}

/** Inputs whose ignored paths say what the live object says, or nothing where another manager alone sets them. */
function keepIgnored(inputs: Props, live: Props, options: UpdateOptions): Props {
    const result = clone(inputs);
    for (const ignored of options.ignoreChanges) {
        const steps = pathSteps(ignored);
        if (at(live, ...steps) === undefined) {
            continue;
        }
        const managers = managedFields(live).filter((m) => managesField(m, steps));
        if (managers.length > 0 && !managers.some((m) => m.manager === options.fieldManager)) {
            removeAt(result, ...steps);
        } else {
            setAt(result, at(live, ...steps) ?? null, ...steps);
        }
    }
    return result;
}

function managesField(manager: Props, steps: string[]): boolean {
    return at(manager.fieldsV1, ...steps.map((step) => `f:${step}`)) !== undefined;
}

/** Gives up what a field manager manages, when the resource goes over to another manager. */
export async function relinquish(live: Props, client: KubeClient, fieldManager: string): Promise<void> {
    const { apiVersion, kind } = live;
    const metadata: Props = { name: objectName(live) };
    if (namespaceOf(live) !== "") {
        metadata.namespace = namespaceOf(live);
    }
    const json = { apiVersion, kind, metadata };
    await client.request("PATCH", await client.pathOf(live), { fieldManager }, { json, type: applyType });
}
