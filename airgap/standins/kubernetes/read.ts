// Read and delete: what a refresh, an import and a destroy do with one object.
import { InitError, type DeleteInput, type ReadInput, type ReadResult } from "../lib/provider";
import { typeOf } from "../lib/urn";
import { textAt, type Props } from "../lib/values";
import { AwaitError, checkOnRead, waitUntilDeleted } from "./await";
import { NoMatchError, isNotFound, type KubeClient } from "./client";
import { importedInputs } from "./imported";
import { kindOfObject, kindOfType } from "./kinds";
import * as meta from "./metadata";
import { checkpoint, normalize, parseCheckpoint, prune, toObject, toProps } from "./objects";
import type { Session } from "./session";

/** Kinds whose deletion skipAwait does not wait for; for all others it is about readiness alone. */
const skipAwaitOnDelete = [
    "Namespace",
    "Pod",
    "ReplicationController",
    "DaemonSet",
    "Deployment",
    "StatefulSet",
    "Job",
];

const unreachableHelp =
    "If the cluster was deleted, you can remove this resource from Pulumi state by rerunning the operation with the " +
    'PULUMI_K8S_DELETE_UNREACHABLE environment variable set to "true"';

/** The client, or undefined when the object is to be dropped from the state with its unreachable cluster. */
async function clientOrDrop(session: Session, urn: string, refusal: string): Promise<KubeClient | undefined> {
    const { client, unreachable } = session.cluster;
    if (client !== undefined) {
        return client;
    }
    await session.log.log("warning", urn, `configured Kubernetes cluster is unreachable: ${unreachable}`);
    if (!session.settings.deleteUnreachable) {
        throw new Error(`${refusal}. ${unreachableHelp}`);
    }
    await session.log.log(
        "info",
        urn,
        "configured Kubernetes cluster is unreachable and the `deleteUnreachable` option is enabled. " +
            "Deleting the unreachable resource from Pulumi state",
    );
    return undefined;
}

export async function readResource(session: Session, input: ReadInput): Promise<ReadResult | undefined> {
    if (session.cluster.client === undefined && session.settings.skipUpdateUnreachable) {
        return { id: input.id, state: input.state, inputs: input.inputs };
    }
    const client = await clientOrDrop(
        session,
        input.urn,
        "failed to read resource state due to unreachable cluster",
    );
    if (client === undefined) {
        return undefined;
    }
    const { namespace, name } = meta.parseId(input.id);
    if (name === "") {
        throw new Error(`failed to read resource because its id has no name: ${input.id}`);
    }
    const recorded = parseCheckpoint(input.state);
    const inputs = normalize(toObject(input.inputs));
    const imported = textAt(inputs, "kind") === "" && textAt(recorded.live, "kind") === "";
    if (textAt(inputs, "kind") === "") {
        const gvk = kindOfType(typeOf(input.urn));
        inputs.apiVersion =
            recorded.live.apiVersion ?? (gvk.group ? `${gvk.group}/${gvk.version}` : gvk.version);
        inputs.kind = recorded.live.kind ?? gvk.kind;
    }
    const live = await getObject(client, inputs, meta.namespaceOf(inputs) || namespace, name);
    if (live === undefined) {
        return undefined;
    }
    const liveInputs = imported ? importedInputs(live) : prune(live, inputs);
    const state = checkpoint(
        liveInputs,
        live,
        input.inputs,
        recorded.initialApiVersion || textAt(inputs, "apiVersion"),
        session.fieldManager(inputs, recorded.fieldManager),
    );
    const result = { id: input.id, state, inputs: toProps(liveInputs, input.inputs) };
    try {
        if (!imported) {
            await checkOnRead(session.awaiting(input, live, inputs), inputs);
            await session.clearStatus(input.urn);
        }
    } catch (err) {
        if (err instanceof AwaitError) {
            throw new InitError(input.id, err.message, [err.message, ...err.problems], state, result.inputs);
        }
        throw err;
    }
    return result;
}

async function getObject(
    client: KubeClient,
    kind: Props,
    namespace: string,
    name: string,
): Promise<Props | undefined> {
    try {
        const path = await client.path(textAt(kind, "apiVersion"), textAt(kind, "kind"), namespace, name);
        return await client.request("GET", path);
    } catch (err) {
        if (isNotFound(err) || err instanceof NoMatchError) {
            return undefined;
        }
        throw err;
    }
}

export async function deleteResource(session: Session, input: DeleteInput): Promise<void> {
    const recorded = parseCheckpoint(input.state);
    const client = await clientOrDrop(session, input.urn, "configured Kubernetes cluster is unreachable");
    if (client === undefined) {
        return;
    }
    const json = {
        kind: "DeleteOptions",
        apiVersion: "v1",
        propagationPolicy: meta.deletionPropagation(recorded.inputs),
    };
    try {
        await client.request("DELETE", await client.pathOf(recorded.live), {}, { json });
    } catch (err) {
        if (isNotFound(err) || err instanceof NoMatchError) {
            return;
        }
        throw err;
    }
    const { kind } = kindOfObject(recorded.inputs);
    if (meta.hasAnnotation(recorded.inputs, meta.annotations.skipAwait) && skipAwaitOnDelete.includes(kind)) {
        return;
    }
    try {
        await waitUntilDeleted(session.awaiting(input, recorded.live, recorded.inputs));
    } catch (err) {
        if (err instanceof AwaitError) {
            const state = checkpoint(
                recorded.inputs,
                err.object,
                input.state,
                recorded.initialApiVersion,
                recorded.fieldManager,
            );
            throw new InitError(meta.idOf(err.object), err.message, [err.message, ...err.problems], state);
        }
        throw err;
    }
    await session.clearStatus(input.urn);
}
