// Talks to a built stand-in as the engine does: starts its process, reads its port, and calls it over gRPC.
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import * as readline from "node:readline";
import * as grpc from "@grpc/grpc-js";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { buildPlugins } from "../build";
import type { Props } from "../lib/values";

let built: Promise<string> | undefined;

/** The folder of the built stand-ins; built once for this process. */
export function builtPlugins(): Promise<string> {
    built ??= (async () => {
        const folder = await fs.mkdtemp(path.join(os.tmpdir(), "standins-"));
        process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
        await buildPlugins(folder);
        return folder;
    })();
    return built;
}

export interface Diff {
    changed: boolean;
    replaces: string[];
    deleteBeforeReplace: boolean;
    /** Kind of change by property path: ADD, UPDATE_REPLACE … */
    details: Record<string, string>;
}

/** What the engine would record of a resource that exists but failed. */
export interface InitFailure {
    message: string;
    id: string;
    reasons: string[];
    state: Props;
}

/** One running plugin with its calls in plain values. */
export class PluginProcess {
    private constructor(
        private readonly child: ChildProcess,
        readonly client: ResourceProviderClient,
    ) {}

    static async start(name: string, env: Record<string, string> = {}): Promise<PluginProcess> {
        const file = path.join(await builtPlugins(), `pulumi-resource-${name}`);
        const child = spawn(file, [], {
            env: { ...process.env, ...env },
            stdio: ["ignore", "pipe", "inherit"],
        });
        const port = await new Promise<string>((resolve, reject) => {
            readline.createInterface({ input: child.stdout }).once("line", resolve);
            child.once("error", reject);
            child.once("exit", (code) =>
                reject(new Error(`${file} ended with ${code} before it told its port`)),
            );
        });
        const client = new ResourceProviderClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
        return new PluginProcess(child, client);
    }

    /** Ends the plugin as the engine does and returns its exit code. */
    stop(): Promise<number | null> {
        this.client.close();
        return new Promise((resolve) => {
            this.child.once("exit", resolve);
            this.child.kill("SIGINT");
        });
    }

    async configure(variables: Record<string, string>): Promise<pb.ConfigureResponse> {
        const request = new pb.ConfigureRequest();
        for (const [key, value] of Object.entries(variables)) {
            request.getVariablesMap().set(key, value);
        }
        request.setAcceptsecrets(true);
        return call<pb.ConfigureResponse>((done) => this.client.configure(request, done));
    }

    async check(urn: string, news: Props, olds: Props = {}): Promise<{ inputs: Props; failures: string[] }> {
        const request = new pb.CheckRequest();
        request.setUrn(urn);
        request.setNews(struct(news));
        request.setOlds(struct(olds));
        request.setRandomseed(randomBytes(32));
        const response = await call<pb.CheckResponse>((done) => this.client.check(request, done));
        return {
            inputs: props(response.getInputs()),
            failures: response.getFailuresList().map((failure) => failure.getReason()),
        };
    }

    async diff(
        urn: string,
        id: string,
        olds: Props,
        oldInputs: Props,
        news: Props,
        ignore: string[] = [],
    ): Promise<Diff> {
        const request = new pb.DiffRequest();
        request.setUrn(urn);
        request.setId(id);
        request.setOlds(struct(olds));
        request.setOldInputs(struct(oldInputs));
        request.setNews(struct(news));
        request.setIgnorechangesList(ignore);
        return toDiff(await call<pb.DiffResponse>((done) => this.client.diff(request, done)));
    }

    async diffConfig(olds: Props, news: Props): Promise<Diff> {
        const request = new pb.DiffRequest();
        request.setOlds(struct(olds));
        request.setNews(struct(news));
        return toDiff(await call<pb.DiffResponse>((done) => this.client.diffConfig(request, done)));
    }

    async create(urn: string, inputs: Props, options: { preview?: boolean; timeoutSeconds?: number } = {}) {
        const request = new pb.CreateRequest();
        request.setUrn(urn);
        request.setProperties(struct(inputs));
        request.setPreview(options.preview ?? false);
        request.setTimeout(options.timeoutSeconds ?? 0);
        const response = await call<pb.CreateResponse>((done) => this.client.create(request, done));
        return { id: response.getId(), state: props(response.getProperties()) };
    }

    async read(urn: string, id: string, state: Props, inputs: Props) {
        const request = new pb.ReadRequest();
        request.setUrn(urn);
        request.setId(id);
        request.setProperties(struct(state));
        request.setInputs(struct(inputs));
        const response = await call<pb.ReadResponse>((done) => this.client.read(request, done));
        return {
            id: response.getId(),
            state: props(response.getProperties()),
            inputs: props(response.getInputs()),
        };
    }

    async update(
        urn: string,
        id: string,
        olds: Props,
        news: Props,
        options: { preview?: boolean; timeoutSeconds?: number; ignore?: string[] } = {},
    ): Promise<Props> {
        const request = new pb.UpdateRequest();
        request.setUrn(urn);
        request.setId(id);
        request.setOlds(struct(olds));
        request.setNews(struct(news));
        request.setPreview(options.preview ?? false);
        request.setTimeout(options.timeoutSeconds ?? 0);
        request.setIgnorechangesList(options.ignore ?? []);
        const response = await call<pb.UpdateResponse>((done) => this.client.update(request, done));
        return props(response.getProperties());
    }

    async delete(urn: string, id: string, state: Props, timeoutSeconds = 0): Promise<void> {
        const request = new pb.DeleteRequest();
        request.setUrn(urn);
        request.setId(id);
        request.setProperties(struct(state));
        request.setTimeout(timeoutSeconds);
        await call((done) => this.client.delete(request, done));
    }

    /** Tells the plugin that the user wants its operations to end. */
    async cancel(): Promise<void> {
        await call((done) => this.client.cancel(new Empty(), done));
    }
}

/** The record of a half-made resource in a failed call; fails the test when the error has none. */
export function initFailure(err: unknown): InitFailure {
    const { metadata, details: message } = err as grpc.ServiceError;
    const [packed] = metadata.get("grpc-status-details-bin");
    if (packed === undefined) {
        throw new Error(`the error has no details of a half-made resource: ${message}`);
    }
    const [any] = Status.deserializeBinary(packed as Buffer).getDetailsList();
    const detail = any.unpack(
        (bytes) => pb.ErrorResourceInitFailed.deserializeBinary(bytes),
        "pulumirpc.ErrorResourceInitFailed",
    );
    if (detail === null) {
        throw new Error(`the error's details are of another kind: ${any.getTypeName()}`);
    }
    return {
        message,
        id: detail.getId(),
        reasons: detail.getReasonsList(),
        state: props(detail.getProperties()),
    };
}

/** The error of a promise that must fail. */
export async function rejection(promise: Promise<unknown>): Promise<unknown> {
    let value: unknown;
    try {
        value = await promise;
    } catch (err) {
        return err;
    }
    throw new Error(`it should have failed, but gave ${JSON.stringify(value)}`);
}

function call<T>(start: (done: (err: grpc.ServiceError | null, response: T) => void) => unknown): Promise<T> {
    return new Promise((resolve, reject) => {
        start((err, response) => (err ? reject(err) : resolve(response)));
    });
}

function toDiff(response: pb.DiffResponse): Diff {
    const kinds = Object.keys(pb.PropertyDiff.Kind);
    const details: Record<string, string> = {};
    response.getDetaileddiffMap().forEach((diff: pb.PropertyDiff, path: string) => {
        details[path] = kinds[diff.getKind()];
    });
    return {
        changed: response.getChanges() === pb.DiffResponse.DiffChanges.DIFF_SOME,
        replaces: response.getReplacesList(),
        deleteBeforeReplace: response.getDeletebeforereplace(),
        details,
    };
}

function struct(from: Props): Struct {
    return Struct.fromJavaScript(from);
}

function props(from: Struct | undefined): Props {
    return from?.toJavaScript() ?? {};
}
