// The provider: each call of the engine, in terms of objects and the cluster.
import { standInNotice, type EngineLog } from "../lib/engine";
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
import { typeOf } from "../lib/urn";
import { removeAt, setAt, type Props } from "../lib/values";
import { AwaitError, checkOnRead } from "./await";
import { namespacedKind, namespacedObject, reachCluster } from "./cluster";
import { diffObjects, pathContains } from "./diff";
import { kindOfType, replacingPaths } from "./kinds";
import * as meta from "./metadata";
import { normalize, parseCheckpoint, prune, toObject, toProps } from "./objects";
import { deleteResource, readResource } from "./read";
import { Session } from "./session";
import { checkSettings, diffSettings, readSettings } from "./settings";
import { createResource, updateResource } from "./write";

export class KubernetesProvider implements Provider {
    private readonly session: Session;

    constructor(
        readonly version: string,
        private readonly log: EngineLog,
    ) {
        this.session = new Session(log);
    }

    attach(engineAddress: string): void {
        this.log.attach(engineAddress);
    }

    cancel(): void {
        this.session.cancel();
    }

    checkConfig(_urn: string, news: Props): Promise<CheckResult> {
        return Promise.resolve(checkSettings(news));
    }

    diffConfig(olds: Props, news: Props): Promise<DiffResult> {
        return Promise.resolve(diffSettings(olds, news));
    }

    async configure(args: Map<string, string>): Promise<void> {
        this.session.settings = readSettings(args);
        [this.session.cluster] = await Promise.all([
            reachCluster(this.session.settings),
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
        const { cluster, settings } = this.session;
        if (cluster.unreachable !== undefined && settings.skipUpdateUnreachable) {
            const message =
                "Cluster is unreachable but skipUpdateUnreachable flag is set to true, skipping...";
            await this.log.log("warning", input.urn, message);
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
        if (meta.usesGenerateName(object) && settings.serverSideApply) {
            throw new Error("the `.metadata.generateName` field is not supported in Server-Side Apply mode");
        }
        const { defaultNamespace } = cluster;
        if (
            defaultNamespace !== "" &&
            meta.namespaceOf(object) === "" &&
            (await namespacedKind(cluster, gvk))
        ) {
            setAt(object, defaultNamespace, "metadata", "namespace");
        }
        return { inputs: toProps(object, input.news) };
    }

    async diff(input: DiffInput): Promise<DiffResult> {
        const { cluster, settings } = this.session;
        const recorded = parseCheckpoint(input.olds);
        const oldInputs = normalize(recorded.inputs);
        const newInputs = normalize(toObject(input.news));
        const live = prune(recorded.live, oldInputs);
        const namespaced = await namespacedObject(cluster, newInputs);
        for (const object of [live, newInputs, oldInputs]) {
            if (namespaced) setAt(object, meta.namespaceOf(object) || "default", "metadata", "namespace");
            else removeAt(object, "metadata", "namespace");
        }
        removeAt(live, "metadata", "resourceVersion");
        if (meta.isNamed(newInputs)) {
            setAt(live, meta.objectName(recorded.live), "metadata", "name");
        }
        const details = diffObjects({
            live,
            oldInputs,
            newInputs,
            replacing: replacingPaths(newInputs, settings),
        });
        for (const path of details.keys()) {
            if (input.ignoreChanges.some((ignored) => pathContains(ignored, path))) {
                details.delete(path);
            }
        }
        const replaces = [...details]
            .filter(([path, change]) => change.replace || (path === "metadata" && change.kind === "delete"))
            .map(([path]) => path);
        if (await this.isUnreadyJob(newInputs, recorded.live)) {
            replaces.push(`.metadata.annotations["${meta.annotations.replaceUnready}"]`);
        }
        const sameName =
            meta.objectName(newInputs) === meta.objectName(recorded.live) &&
            meta.namespaceOf(newInputs) === meta.namespaceOf(recorded.live);
        return {
            changed: details.size > 0 || replaces.length > 0,
            replaces,
            details,
            // A name that the program chose is taken until the old object has gone.
            deleteBeforeReplace:
                replaces.length > 0 && meta.isNamed(newInputs) && !meta.isAutonamed(newInputs) && sameName,
        };
    }

    /** The annotation pulumi.com/replaceUnready replaces a job that has not completed. */
    private async isUnreadyJob(news: Props, live: Props): Promise<boolean> {
        const { client } = this.session.cluster;
        const wanted = meta.hasAnnotation(news, meta.annotations.replaceUnready) && news.kind === "Job";
        if (!wanted || client === undefined) {
            return false;
        }
        try {
            const object = await client.request("GET", await client.pathOf(live));
            await checkOnRead(this.session.awaiting({ urn: "", timeoutSeconds: 0 }, object, {}), {});
            return false;
        } catch (err) {
            return err instanceof AwaitError;
        }
    }

    create(input: CreateInput): Promise<{ id: string; outputs: Props }> {
        return createResource(this.session, input);
    }

    read(input: ReadInput): Promise<ReadResult | undefined> {
        return readResource(this.session, input);
    }

    update(input: UpdateInput): Promise<Props> {
        return updateResource(this.session, input);
    }

    delete(input: DeleteInput): Promise<void> {
        return deleteResource(this.session, input);
    }
}
