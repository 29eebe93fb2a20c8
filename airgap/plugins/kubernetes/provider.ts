// The provider: each call of the engine, in terms of objects and the cluster.
import type { EngineLog } from "../lib/engine";
import { standInNotice } from "../lib/engine";
import type {
    CheckInput,
    CheckResult,
    CreateInput,
    DeleteInput,
    DiffInput,
    DiffResult,
    Provider,
    ReadInput,
    ReadResult,
    UpdateInput,
} from "../lib/provider";
import { InitError } from "../lib/provider";
import { typeOf } from "../lib/urn";
import type { Props } from "../lib/values";
import { containsUnknown, removeAt, setAt, textAt } from "../lib/values";
import { NoNamespaceError, createObject, relinquish, updateObject } from "./apply";
import type { AwaitContext } from "./await";
import { AwaitError, checkOnRead, waitAfterChange, waitUntilDeleted } from "./await";
import { ApiError, NoMatchError, isNotFound, type KubeClient } from "./client";
import type { Cluster } from "./cluster";
import { kindExists, namespacedKind, namespacedObject, reachCluster } from "./cluster";
import { diffObjects, pathContains } from "./diff";
import { kindOfObject, kindOfType, replacingPaths } from "./kinds";
import * as meta from "./metadata";
import { checkpoint, normalize, parseCheckpoint, prune, toObject, toProps } from "./objects";
import { importedInputs } from "./imported";
import { checkSettings, diffSettings, readSettings, type Settings } from "./settings";

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

export class KubernetesProvider implements Provider {
    private settings: Settings = readSettings(new Map());
    private cluster: Cluster = { unreachable: "the provider was not configured", defaultNamespace: "" };
    private readonly cancelled = new AbortController();

    constructor(
        readonly version: string,
        private readonly log: EngineLog,
    ) {}

    attach(engineAddress: string): void {
        this.log.attach(engineAddress);
    }

    cancel(): void {
        this.cancelled.abort();
    }

    checkConfig(_urn: string, news: Props): Promise<CheckResult> {
        return Promise.resolve(checkSettings(news));
    }

    async diffConfig(olds: Props, news: Props): Promise<DiffResult> {
        return diffSettings(olds, news);
    }

    async configure(args: Map<string, string>): Promise<void> {
        this.settings = readSettings(args);
        [this.cluster] = await Promise.all([
            reachCluster(this.settings),
            standInNotice(this.log, "resource plugin kubernetes"),
        ]);
    }

    invoke(token: string): Promise<Props> {
        return Promise.reject(
            new Error(
                `the air-gapped stand-in of the kubernetes plugin does not serve the function ${token}`,
            ),
        );
    }

    async check(input: CheckInput): Promise<CheckResult> {
        if (this.cluster.unreachable !== undefined && this.settings.skipUpdateUnreachable) {
            await this.log.log(
                "warning",
                input.urn,
                "Cluster is unreachable but skipUpdateUnreachable is set, skipping...",
            );
            return { inputs: input.olds };
        }
        const gvk = kindOfType(typeOf(input.urn));
        const olds = toObject(input.olds);
        const object = normalize(toObject(input.news));
        if (Object.keys(olds).length > 0) {
            meta.adoptName(object, olds);
        } else {
            meta.assignName(object, input);
        }
        if (meta.usesGenerateName(object) && this.settings.serverSideApply) {
            throw new Error("the `.metadata.generateName` field is not supported in Server-Side Apply mode");
        }
        const { defaultNamespace } = this.cluster;
        if (
            defaultNamespace !== "" &&
            meta.namespaceOf(object) === "" &&
            (await namespacedKind(this.cluster, gvk))
        ) {
            setAt(object, defaultNamespace, "metadata", "namespace");
        }
        return { inputs: toProps(object, input.news) };
    }

    async diff(input: DiffInput): Promise<DiffResult> {
        const recorded = parseCheckpoint(input.olds);
        const oldInputs = normalize(recorded.inputs);
        const news = normalize(toObject(input.news));
        const live = prune(recorded.live, oldInputs);
        const namespaced = await namespacedObject(this.cluster, news);
        for (const object of [live, news, oldInputs]) {
            if (namespaced) setAt(object, meta.namespaceOf(object) || "default", "metadata", "namespace");
            else removeAt(object, "metadata", "namespace");
        }
        removeAt(live, "metadata", "resourceVersion");
        if (meta.isNamed(news)) {
            setAt(live, meta.objectName(recorded.live), "metadata", "name");
        }
        const details = diffObjects({
            live,
            oldInputs,
            newInputs: news,
            replacing: replacingPaths(news, this.settings),
        });
        for (const path of details.keys()) {
            if (input.ignoreChanges.some((ignored) => pathContains(ignored, path))) {
                details.delete(path);
            }
        }
        const replaces = [...details]
            .filter(([path, change]) => change.replace || (path === "metadata" && change.kind === "delete"))
            .map(([path]) => path);
        let changed = details.size > 0;
        if (await this.isUnreadyJob(news, recorded.live)) {
            changed = true;
            replaces.push(`.metadata.annotations["${meta.annotations.replaceUnready}"]`);
        }
        const sameName =
            meta.objectName(news) === meta.objectName(recorded.live) &&
            meta.namespaceOf(news) === meta.namespaceOf(recorded.live);
        return {
            changed,
            replaces,
            details,
            deleteBeforeReplace:
                replaces.length > 0 && meta.isNamed(news) && !meta.isAutonamed(news) && sameName,
        };
    }

    /** The annotation pulumi.com/replaceUnready replaces a job that has not completed. */
    private async isUnreadyJob(news: Props, live: Props): Promise<boolean> {
        const { client } = this.cluster;
        if (
            !meta.hasAnnotation(news, meta.annotations.replaceUnready) ||
            news.kind !== "Job" ||
            client === undefined
        ) {
            return false;
        }
        try {
            const object = await client.request("GET", await client.pathOf(live));
            await checkOnRead(this.context("", object, 0, {}), {});
            return false;
        } catch (err) {
            return err instanceof AwaitError;
        }
    }

    async create(input: CreateInput): Promise<{ id: string; outputs: Props }> {
        const { urn, preview } = input;
        kindOfType(typeOf(urn));
        const inputs = toObject(input.inputs);
        const asGiven = { id: "", outputs: input.inputs };
        if (preview && !(await this.canPreview(inputs))) {
            return asGiven;
        }
        const client = this.reachable();
        const fieldManager = this.fieldManager(inputs, "");
        const upsert = this.settings.serverSideApply && this.settings.upsert;
        const force =
            preview || this.settings.patchForce || meta.hasAnnotation(inputs, meta.annotations.patchForce);
        let created: Props;
        try {
            created = await createObject(
                inputs,
                { client, fieldManager, preview, force, upsert },
                (message) => {
                    void this.log.status("info", urn, message);
                },
            );
        } catch (err) {
            const untold =
                err instanceof NoNamespaceError ||
                (err instanceof ApiError &&
                    (err.status === 403 || err.reason === "AlreadyExists" || noDryRun(err)));
            if (preview && untold) {
                return asGiven; // it can only be told by the update itself
            }
            throw createError(urn, inputs, err);
        }
        const record = (live: Props): Props =>
            checkpoint(inputs, live, input.inputs, textAt(inputs, "apiVersion"), fieldManager);
        if (preview) {
            delete created.status;
            return { id: "", outputs: record(created) };
        }
        const live = await this.awaitReady(input, inputs, created, undefined, (err) => {
            const message =
                `resource "${urn}" was successfully created, but the Kubernetes API server reported that it failed ` +
                `to fully initialize or become live: ${err.message}`;
            return new InitError(
                meta.idOf(err.object),
                message,
                [message, ...err.problems],
                record(err.object),
            );
        });
        return { id: meta.idOf(live), outputs: record(live) };
    }

    async update(input: UpdateInput): Promise<Props> {
        const { urn, preview } = input;
        const inputs = normalize(toObject(input.news));
        if (preview && (containsUnknown(inputs) || !(await kindExists(this.cluster, inputs)))) {
            return input.news;
        }
        const client = this.reachable();
        const recorded = parseCheckpoint(input.olds);
        const fieldManager = this.fieldManager(inputs, recorded.fieldManager);
        const record = (live: Props): Props =>
            checkpoint(inputs, live, input.news, recorded.initialApiVersion, fieldManager);
        const failed = (err: Error, live: Props, problems: string[]): InitError => {
            const message =
                `the Kubernetes API server reported that "${meta.idOf(live)}" failed to fully initialize or become ` +
                `live: ${err.message}`;
            return new InitError(meta.idOf(live), message, [message, ...problems], record(live));
        };
        let before: Props;
        let updated: Props;
        try {
            before = await client.request("GET", await client.pathOf(recorded.live));
            updated = await updateObject(inputs, before, recorded.inputs, {
                client,
                fieldManager,
                preview,
                serverSideApply: this.settings.serverSideApply,
                patchForce: this.settings.patchForce,
                ignoreChanges: input.ignoreChanges,
            });
        } catch (err) {
            if (preview && err instanceof ApiError && err.status === 403) {
                return input.news;
            }
            if (err instanceof NoMatchError) {
                throw new Error(
                    `update of resource "${urn}" failed because the Kubernetes API server reported that the apiVersion ` +
                        `for this resource does not exist. Verify that any required CRDs have been created: ${err.message}`,
                );
            }
            const live = await client
                .pathOf(recorded.live)
                .then((path) => client.request("GET", path))
                .catch((getErr: Error) => {
                    throw new Error(
                        `update of resource "${urn}" failed: ${(err as Error).message}\n` +
                            `unable to get cluster state: ${getErr.message}`,
                    );
                });
            throw failed(err as Error, live, []);
        }
        if (preview) {
            return record(updated);
        }
        const live = await this.awaitReady(input, inputs, updated, before, (err) =>
            failed(err, err.object, err.problems),
        );
        if (
            this.settings.serverSideApply &&
            recorded.fieldManager !== "" &&
            recorded.fieldManager !== fieldManager
        ) {
            await relinquish(live, client, recorded.fieldManager);
        }
        return record(live);
    }

    async read(input: ReadInput): Promise<ReadResult | undefined> {
        const { client, unreachable } = this.cluster;
        if (client === undefined) {
            await this.log.log(
                "warning",
                input.urn,
                `configured Kubernetes cluster is unreachable: ${unreachable}`,
            );
            if (this.settings.deleteUnreachable) {
                await this.sayDropped(input.urn);
                return undefined;
            }
            if (this.settings.skipUpdateUnreachable) {
                return { id: input.id, state: input.state, inputs: input.inputs };
            }
            throw new Error(`failed to read resource state due to unreachable cluster. ${unreachableHelp}`);
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
            const apiVersion = gvk.group === "" ? gvk.version : `${gvk.group}/${gvk.version}`;
            inputs.apiVersion = recorded.live.apiVersion ?? apiVersion;
            inputs.kind = recorded.live.kind ?? gvk.kind;
        }
        let live: Props;
        try {
            const path = await client.path(
                textAt(inputs, "apiVersion"),
                textAt(inputs, "kind"),
                meta.namespaceOf(inputs) || namespace,
                name,
            );
            live = await client.request("GET", path);
        } catch (err) {
            if (isNotFound(err) || err instanceof NoMatchError) {
                return undefined;
            }
            throw err;
        }
        const liveInputs = imported ? importedInputs(live) : prune(live, inputs);
        const apiVersion = recorded.initialApiVersion || textAt(inputs, "apiVersion");
        const state = checkpoint(
            liveInputs,
            live,
            input.inputs,
            apiVersion,
            this.fieldManager(inputs, recorded.fieldManager),
        );
        const result = { id: input.id || meta.idOf(live), state, inputs: toProps(liveInputs, input.inputs) };
        if (!imported) {
            try {
                await checkOnRead(this.context(input.urn, live, input.timeoutSeconds, inputs), inputs);
            } catch (err) {
                if (err instanceof AwaitError) {
                    const reasons = [err.message, ...err.problems];
                    throw new InitError(result.id, err.message, reasons, result.state, result.inputs);
                }
                throw err;
            }
        }
        return result;
    }

    async delete(input: DeleteInput): Promise<void> {
        const recorded = parseCheckpoint(input.state);
        const { client, unreachable } = this.cluster;
        if (client === undefined) {
            await this.log.log(
                "warning",
                input.urn,
                `configured Kubernetes cluster is unreachable: ${unreachable}`,
            );
            if (this.settings.deleteUnreachable) {
                await this.sayDropped(input.urn);
                return;
            }
            throw new Error(`configured Kubernetes cluster is unreachable. ${unreachableHelp}`);
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
        if (
            meta.hasAnnotation(recorded.inputs, meta.annotations.skipAwait) &&
            skipAwaitOnDelete.includes(kindOfObject(recorded.inputs).kind)
        ) {
            return;
        }
        try {
            await waitUntilDeleted(
                this.context(input.urn, recorded.live, input.timeoutSeconds, recorded.inputs),
            );
        } catch (err) {
            if (err instanceof AwaitError) {
                const state = checkpoint(
                    recorded.inputs,
                    err.object,
                    input.state,
                    recorded.initialApiVersion,
                    recorded.fieldManager,
                );
                throw new InitError(
                    meta.idOf(err.object),
                    err.message,
                    [err.message, ...err.problems],
                    state,
                );
            }
            throw err;
        }
        await this.log.status("info", input.urn, "");
    }

    private sayDropped(urn: string): Promise<void> {
        return this.log.log(
            "info",
            urn,
            "configured Kubernetes cluster is unreachable and the `deleteUnreachable` option is enabled. " +
                "Deleting the unreachable resource from Pulumi state",
        );
    }

    private reachable(): KubeClient {
        if (this.cluster.client === undefined) {
            throw new Error(`configured Kubernetes cluster is unreachable: ${this.cluster.unreachable}`);
        }
        return this.cluster.client;
    }

    private async canPreview(inputs: Props): Promise<boolean> {
        return (
            this.settings.serverSideApply &&
            !containsUnknown(inputs) &&
            (await kindExists(this.cluster, inputs))
        );
    }

    private fieldManager(inputs: Props, recorded: string): string {
        if (!this.settings.serverSideApply) {
            return "pulumi-kubernetes";
        }
        const annotated = meta.annotation(inputs, meta.annotations.patchFieldManager);
        return annotated || recorded || `pulumi-kubernetes-${meta.randomSuffix(new Uint8Array())}`;
    }

    private context(
        urn: string,
        object: Props,
        timeoutSeconds: number,
        inputs: Props,
        before?: Props,
    ): AwaitContext {
        let last = "";
        return {
            client: this.reachable(),
            object,
            before,
            timeoutMs: meta.timeoutMs(timeoutSeconds, inputs),
            cancelled: this.cancelled.signal,
            status: (severity, message) => {
                if (message !== last && urn !== "") {
                    last = message;
                    void this.log.status(severity, urn, message);
                }
            },
        };
    }

    private async awaitReady(
        operation: { urn: string; timeoutSeconds: number },
        inputs: Props,
        object: Props,
        before: Props | undefined,
        toError: (err: AwaitError) => InitError,
    ): Promise<Props> {
        const context = this.context(operation.urn, object, operation.timeoutSeconds, inputs, before);
        try {
            const live = await waitAfterChange(context, inputs);
            await this.log.status("info", operation.urn, "");
            return live;
        } catch (err) {
            throw err instanceof AwaitError ? toError(err) : err;
        }
    }
}

function noDryRun(err: ApiError): boolean {
    return err.status === 400 && /does not support dry run|dryRun .* feature is disabled/.test(err.message);
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
