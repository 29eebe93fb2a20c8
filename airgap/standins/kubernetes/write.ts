// Create and update: the request, and then the wait until the object is ready.
import { InitError, type CreateInput, type UpdateInput } from "../lib/provider";
import { typeOf } from "../lib/urn";
import { containsUnknown, textAt, type Props } from "../lib/values";
import { NoNamespaceError, createObject, relinquish, updateObject } from "./apply";
import { AwaitError, waitAfterChange } from "./await";
import { ApiError, NoMatchError } from "./client";
import { kindExists } from "./cluster";
import { kindOfType } from "./kinds";
import * as meta from "./metadata";
import { checkpoint, normalize, parseCheckpoint, toObject } from "./objects";

import type { Session } from "./session";

export async function createResource(
    session: Session,
    input: CreateInput,
): Promise<{ id: string; outputs: Props }> {
    const { urn, preview } = input;
    const { settings } = session;
    kindOfType(typeOf(urn));
    const inputs = toObject(input.inputs);
    const asGiven = { id: "", outputs: input.inputs };
    if (preview && !(await canPreview(session, inputs))) {
        return asGiven;
    }
    const client = session.reachable();
    const fieldManager = session.fieldManager(inputs, "");
    const upsert = settings.serverSideApply && settings.upsert;
    const force = preview || settings.patchForce || meta.hasAnnotation(inputs, meta.annotations.patchForce);
    let created: Props;
    try {
        created = await createObject(inputs, { client, fieldManager, preview, force, upsert }, (message) => {
            void session.log.status("info", urn, message);
        });
    } catch (err) {
        if (preview && cannotTell(err)) {
            return asGiven;
        }
        throw createError(urn, inputs, err);
    }
    const record = (live: Props): Props =>
        checkpoint(inputs, live, input.inputs, textAt(inputs, "apiVersion"), fieldManager);
    if (preview) {
        delete created.status;
        return { id: "", outputs: record(created) };
    }
    const live = await awaitReady(session, input, inputs, created, (err) => {
        const message =
            `resource "${urn}" was successfully created, but the Kubernetes API server reported that it failed ` +
            `to fully initialize or become live: ${err.message}`;
        return new InitError(meta.idOf(err.object), message, [message, ...err.problems], record(err.object));
    });
    return { id: meta.idOf(live), outputs: record(live) };
}

async function canPreview(session: Session, inputs: Props): Promise<boolean> {
    return (
        session.settings.serverSideApply &&
        !containsUnknown(inputs) &&
        (await kindExists(session.cluster, inputs))
    );
}

/** Whether a failed dry run says nothing about the real create, for what is missing or in the way will have changed by then. */
function cannotTell(err: unknown): boolean {
    if (err instanceof NoNamespaceError) {
        return true;
    }
    const noDryRun = /does not support dry run|dryRun .* feature is disabled/;
    return (
        err instanceof ApiError &&
        (err.status === 403 ||
            err.reason === "AlreadyExists" ||
            (err.status === 400 && noDryRun.test(err.message)))
    );
}

function createError(urn: string, inputs: Props, err: unknown): Error {
    const message = err instanceof Error ? err.message : String(err);
    if (err instanceof NoMatchError) {
        return new Error(
            `creation of resource "${urn}" with kind ${textAt(inputs, "apiVersion")}/${textAt(inputs, "kind")} failed ` +
                "because the Kubernetes API server reported that the apiVersion for this resource does not exist. " +
                `Verify that any required CRDs have been created: ${message}`,
        );
    }
    return new Error(
        `resource "${urn}" was not successfully created by the Kubernetes API server: ${message}`,
    );
}

export async function updateResource(session: Session, input: UpdateInput): Promise<Props> {
    const { urn, preview } = input;
    const { settings } = session;
    const inputs = normalize(toObject(input.news));
    if (preview && (containsUnknown(inputs) || !(await kindExists(session.cluster, inputs)))) {
        return input.news;
    }
    const client = session.reachable();
    const recorded = parseCheckpoint(input.olds);
    const fieldManager = session.fieldManager(inputs, recorded.fieldManager);
    const record = (live: Props): Props =>
        checkpoint(inputs, live, input.news, recorded.initialApiVersion, fieldManager);
    const failed = (err: Error, live: Props, problems: string[]): InitError => {
        const message =
            `the Kubernetes API server reported that "${meta.idOf(live)}" failed to fully initialize or become ` +
            `live: ${err.message}`;
        return new InitError(meta.idOf(live), message, [message, ...problems], record(live));
    };
    const getLive = async (): Promise<Props> => client.request("GET", await client.pathOf(recorded.live));
    let updated: Props;
    try {
        updated = await updateObject(inputs, await getLive(), recorded.inputs, {
            client,
            fieldManager,
            preview,
            serverSideApply: settings.serverSideApply,
            patchForce: settings.patchForce,
            ignoreChanges: input.ignoreChanges,
        });
    } catch (err) {
        if (preview && err instanceof ApiError && err.status === 403) {
            return input.news;
        }
        if (err instanceof NoMatchError) {
            throw new Error(
                `update of resource "${urn}" failed because the Kubernetes API server reported that the apiVersion for ` +
                    `this resource does not exist. Verify that any required CRDs have been created: ${err.message}`,
            );
        }
        const reason = err as Error;
        const live = await getLive().catch((getErr: Error) => {
            throw new Error(
                `update of resource "${urn}" failed: ${reason.message}\nunable to get cluster state: ${getErr.message}`,
            );
        });
        throw failed(reason, live, []);
    }
    if (preview) {
        return record(updated);
    }
    const live = await awaitReady(session, input, inputs, updated, (err) =>
        failed(err, err.object, err.problems),
    );
    if (settings.serverSideApply && recorded.fieldManager !== "" && recorded.fieldManager !== fieldManager) {
        await relinquish(live, client, recorded.fieldManager);
    }
    return record(live);
}

async function awaitReady(
    session: Session,
    operation: { urn: string; timeoutSeconds: number },
    inputs: Props,
    object: Props,
    toError: (err: AwaitError) => InitError,
): Promise<Props> {
    try {
        const live = await waitAfterChange(session.awaiting(operation, object, inputs), inputs);
        await session.clearStatus(operation.urn);
        return live;
    } catch (err) {
        throw err instanceof AwaitError ? toError(err) : err;
    }
}
