// The ResourceProvider service in terms of plain values: what the stand-ins implement, and how it is served.
import { Any } from "google-protobuf/google/protobuf/any_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import * as grpc from "@grpc/grpc-js";
import { PluginAttach, PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Status } from "@pulumi/pulumi/proto/status_pb";
import { RpcError, engineAddress, serve, unary } from "./serve";
import { EngineLog } from "./engine";
import type { Props } from "./values";

export interface CheckFailure {
    /** Name of the argument that is wrong; empty for the resource as a whole. */
    property: string;
    reason: string;
}

export interface CheckResult {
    inputs: Props;
    failures?: CheckFailure[];
}

export type DiffKind = "add" | "delete" | "update";

/** What changes at one property path (`spec.containers[0].image`). */
export interface PropertyChange {
    kind: DiffKind;
    replace: boolean;
    /** Compare the inputs to show the change, not the outputs. */
    inputDiff?: boolean;
}

export interface DiffResult {
    changed: boolean;
    /** Property paths that need a replacement. */
    replaces?: string[];
    /** Top-level properties that differ; for configuration, which has no details. */
    diffs?: string[];
    details?: Map<string, PropertyChange>;
    deleteBeforeReplace?: boolean;
}

export interface CheckInput {
    urn: string;
    /** Inputs of the last deployment; empty for a new resource. */
    olds: Props;
    news: Props;
    randomSeed: Uint8Array;
    autonaming?: { mode: "propose" | "enforce" | "disable"; proposedName: string };
}

export interface DiffInput {
    id: string;
    urn: string;
    /** The recorded outputs. */
    olds: Props;
    oldInputs: Props;
    news: Props;
    ignoreChanges: string[];
}

export interface OperationInput {
    urn: string;
    /** From customTimeouts; 0 means the default. */
    timeoutSeconds: number;
}

export interface CreateInput extends OperationInput {
    inputs: Props;
    preview: boolean;
}

export interface UpdateInput extends OperationInput {
    id: string;
    olds: Props;
    news: Props;
    ignoreChanges: string[];
    preview: boolean;
}

export interface ReadInput extends OperationInput {
    id: string;
    state: Props;
    inputs: Props;
}

export interface DeleteInput extends OperationInput {
    id: string;
    state: Props;
}

export interface ReadResult {
    id: string;
    state: Props;
    inputs: Props;
}

/** A resource provider in the engine's sense. Every method may throw; what it throws is what the user reads. */
export interface Provider {
    readonly version: string;
    attach(engineAddress: string): void;
    checkConfig(urn: string, news: Props): Promise<CheckResult>;
    diffConfig(olds: Props, news: Props): Promise<DiffResult>;
    /** The provider's arguments: each a string, JSON where the argument is no string. */
    configure(args: Map<string, string>): Promise<void>;
    check(input: CheckInput): Promise<CheckResult>;
    diff(input: DiffInput): Promise<DiffResult>;
    create(input: CreateInput): Promise<{ id: string; outputs: Props }>;
    /** Undefined when the resource is gone. */
    read(input: ReadInput): Promise<ReadResult | undefined>;
    update(input: UpdateInput): Promise<Props>;
    delete(input: DeleteInput): Promise<void>;
    invoke(token: string, args: Props): Promise<Props>;
    /** The engine wants all operations to end soon. */
    cancel(): void;
}

/** The resource exists but is not usable: it is recorded with this state, and the operation fails. */
export class InitError extends RpcError {
    constructor(
        readonly id: string,
        message: string,
        readonly reasons: string[],
        readonly state: Props,
        readonly inputs?: Props,
    ) {
        const detail = new pb.ErrorResourceInitFailed();
        detail.setId(id);
        detail.setReasonsList(reasons);
        detail.setProperties(struct(state));
        if (inputs !== undefined) {
            detail.setInputs(struct(inputs));
        }
        const packed = new Any();
        packed.pack(detail.serializeBinary(), "pulumirpc.ErrorResourceInitFailed");
        const status = new Status();
        status.setCode(grpc.status.UNKNOWN);
        status.setMessage(message);
        status.addDetails(packed);
        super(grpc.status.UNKNOWN, message, status.serializeBinary());
    }
}

export function serveProvider(create: (log: EngineLog) => Provider): void {
    const log = new EngineLog(engineAddress(process.argv.slice(2)));
    const provider = create(log);
    serve(
        (server) => server.addService(ResourceProviderService, service(provider)),
        () => provider.cancel(),
    );
}

function struct(props: Props): Struct {
    return Struct.fromJavaScript(props);
}

function props(from: Struct | undefined): Props {
    return from?.toJavaScript() ?? {};
}

function service(provider: Provider): grpc.UntypedServiceImplementation {
    return {
        getPluginInfo: unary(() => {
            const info = new PluginInfo();
            info.setVersion(provider.version);
            return info;
        }),
        attach: unary((request: PluginAttach) => {
            provider.attach(request.getAddress());
            return new Empty();
        }),
        checkConfig: unary(async (request: pb.CheckRequest) =>
            checkResponse(await provider.checkConfig(request.getUrn(), props(request.getNews()))),
        ),
        diffConfig: unary(async (request: pb.DiffRequest) =>
            diffResponse(await provider.diffConfig(props(request.getOlds()), props(request.getNews()))),
        ),
        configure: unary(async (request: pb.ConfigureRequest) => {
            const args = new Map<string, string>();
            for (const [key, value] of request.getVariablesMap().getEntryList()) {
                args.set(key.slice(key.lastIndexOf(":") + 1), value);
            }
            await provider.configure(args);
            const response = new pb.ConfigureResponse();
            response.setAcceptsecrets(true);
            response.setSupportspreview(true);
            response.setSupportsAutonamingConfiguration(true);
            return response;
        }),
        check: unary(async (request: pb.CheckRequest) =>
            checkResponse(
                await provider.check({
                    urn: request.getUrn(),
                    olds: props(request.getOlds()),
                    news: props(request.getNews()),
                    randomSeed: Buffer.from(request.getRandomseed() as Uint8Array),
                    autonaming: autonaming(request),
                }),
            ),
        ),
        diff: unary(async (request: pb.DiffRequest) =>
            diffResponse(
                await provider.diff({
                    id: request.getId(),
                    urn: request.getUrn(),
                    olds: props(request.getOlds()),
                    oldInputs: props(request.getOldInputs()),
                    news: props(request.getNews()),
                    ignoreChanges: request.getIgnorechangesList(),
                }),
            ),
        ),
        create: unary(async (request: pb.CreateRequest) => {
            const { id, outputs } = await provider.create({
                urn: request.getUrn(),
                inputs: props(request.getProperties()),
                timeoutSeconds: request.getTimeout(),
                preview: request.getPreview(),
            });
            const response = new pb.CreateResponse();
            response.setId(id);
            response.setProperties(struct(outputs));
            return response;
        }),
        read: unary(async (request: pb.ReadRequest) => {
            const result = await provider.read({
                id: request.getId(),
                urn: request.getUrn(),
                state: props(request.getProperties()),
                inputs: props(request.getInputs()),
                timeoutSeconds: request.getTimeout(),
            });
            const response = new pb.ReadResponse();
            if (result !== undefined) {
                response.setId(result.id);
                response.setProperties(struct(result.state));
                response.setInputs(struct(result.inputs));
            }
            return response;
        }),
        update: unary(async (request: pb.UpdateRequest) => {
            const outputs = await provider.update({
                id: request.getId(),
                urn: request.getUrn(),
                olds: props(request.getOlds()),
                news: props(request.getNews()),
                ignoreChanges: request.getIgnorechangesList(),
                timeoutSeconds: request.getTimeout(),
                preview: request.getPreview(),
            });
            const response = new pb.UpdateResponse();
            response.setProperties(struct(outputs));
            return response;
        }),
        delete: unary(async (request: pb.DeleteRequest) => {
            await provider.delete({
                id: request.getId(),
                urn: request.getUrn(),
                state: props(request.getProperties()),
                timeoutSeconds: request.getTimeout(),
            });
            return new Empty();
        }),
        invoke: unary(async (request: pb.InvokeRequest) => {
            const response = new pb.InvokeResponse();
            response.setReturn(struct(await provider.invoke(request.getTok(), props(request.getArgs()))));
            return response;
        }),
        cancel: unary(() => {
            provider.cancel();
            return new Empty();
        }),
    };
}

function autonaming(request: pb.CheckRequest): CheckInput["autonaming"] {
    const options = request.getAutonaming();
    if (options === undefined) {
        return undefined;
    }
    const modes = pb.CheckRequest.AutonamingOptions.Mode;
    const mode =
        options.getMode() === modes.DISABLE
            ? "disable"
            : options.getMode() === modes.ENFORCE
              ? "enforce"
              : "propose";
    return { mode, proposedName: options.getProposedName() };
}

function checkResponse(result: CheckResult): pb.CheckResponse {
    const response = new pb.CheckResponse();
    response.setInputs(struct(result.inputs));
    for (const { property, reason } of result.failures ?? []) {
        const failure = new pb.CheckFailure();
        failure.setProperty(property);
        failure.setReason(reason);
        response.addFailures(failure);
    }
    return response;
}

const changeKinds = {
    add: [pb.PropertyDiff.Kind.ADD, pb.PropertyDiff.Kind.ADD_REPLACE],
    delete: [pb.PropertyDiff.Kind.DELETE, pb.PropertyDiff.Kind.DELETE_REPLACE],
    update: [pb.PropertyDiff.Kind.UPDATE, pb.PropertyDiff.Kind.UPDATE_REPLACE],
} as const;

function diffResponse(result: DiffResult): pb.DiffResponse {
    const response = new pb.DiffResponse();
    const changes = pb.DiffResponse.DiffChanges;
    response.setChanges(result.changed ? changes.DIFF_SOME : changes.DIFF_NONE);
    response.setReplacesList(result.replaces ?? []);
    response.setDiffsList(result.diffs ?? []);
    response.setDeletebeforereplace(result.deleteBeforeReplace ?? false);
    response.setHasdetaileddiff(result.details !== undefined);
    for (const [path, change] of result.details ?? []) {
        const diff = new pb.PropertyDiff();
        diff.setKind(changeKinds[change.kind][change.replace ? 1 : 0]);
        diff.setInputdiff(change.inputDiff ?? false);
        response.getDetaileddiffMap().set(path, diff);
    }
    return response;
}
