// The ResourceProvider service in terms of plain values: what the plugin implements, and how it is served.
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import type * as grpc from "@grpc/grpc-js";
import { PluginAttach, PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import { ResourceProviderService } from "@pulumi/pulumi/proto/provider_grpc_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { EngineLog } from "../lib/engine";
import { engineAddress, serve, unary } from "../lib/serve";
import type { Props } from "./values";

export interface CheckFailure {
    /** Name of the argument that is wrong; empty for the resource as a whole. */
    property: string;
    reason: string;
}

/** What changes at one property: by comparing the inputs. */
export interface PropertyChange {
    kind: "add" | "delete" | "update";
    replace: boolean;
}

export interface DiffInput {
    oldInputs: Props;
    news: Props;
    ignoreChanges: string[];
}

export interface CreateInput {
    urn: string;
    inputs: Props;
    preview: boolean;
}

export interface UpdateInput {
    urn: string;
    /** The recorded outputs. */
    olds: Props;
    news: Props;
    preview: boolean;
}

export interface DeleteInput {
    urn: string;
    state: Props;
}

/** A resource provider in the engine's sense. Every method may throw; what it throws is what the user reads. */
export interface Provider {
    readonly version: string;
    attach(engineAddress: string): void;
    configure(): Promise<void>;
    /** What is wrong with the inputs; they are taken as they are. */
    check(urn: string, news: Props): CheckFailure[];
    /** By top-level property; empty when nothing changes. */
    diff(input: DiffInput): Map<string, PropertyChange>;
    create(input: CreateInput): Promise<{ id: string; outputs: Props }>;
    update(input: UpdateInput): Promise<Props>;
    delete(input: DeleteInput): Promise<void>;
    invoke(token: string, args: Props): Promise<Props>;
    /** The engine wants all operations to end soon. */
    cancel(): void;
}

export function serveProvider(create: (log: EngineLog) => Provider): void {
    const provider = create(new EngineLog(engineAddress(process.argv.slice(2))));
    serve(
        (server) => server.addService(ResourceProviderService, service(provider)),
        () => provider.cancel(),
    );
}

const struct = (props: Props): Struct => Struct.fromJavaScript(props);

const props = (from: Struct | undefined): Props => from?.toJavaScript() ?? {};

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
        checkConfig: unary((request: pb.CheckRequest) => checkResponse(props(request.getNews()), [])),
        diffConfig: unary(() => diffResponse(new Map())),
        configure: unary(async () => {
            await provider.configure();
            const response = new pb.ConfigureResponse();
            response.setAcceptsecrets(true);
            response.setSupportspreview(true);
            return response;
        }),
        check: unary((request: pb.CheckRequest) => {
            const news = props(request.getNews());
            return checkResponse(news, provider.check(request.getUrn(), news));
        }),
        diff: unary((request: pb.DiffRequest) =>
            diffResponse(
                provider.diff({
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
                preview: request.getPreview(),
            });
            const response = new pb.CreateResponse();
            response.setId(id);
            response.setProperties(struct(outputs));
            return response;
        }),
        // A command has no state of its own to look at: what is recorded holds.
        read: unary((request: pb.ReadRequest) => {
            const response = new pb.ReadResponse();
            response.setId(request.getId());
            response.setProperties(request.getProperties());
            response.setInputs(request.getInputs());
            return response;
        }),
        update: unary(async (request: pb.UpdateRequest) => {
            const outputs = await provider.update({
                urn: request.getUrn(),
                olds: props(request.getOlds()),
                news: props(request.getNews()),
                preview: request.getPreview(),
            });
            const response = new pb.UpdateResponse();
            response.setProperties(struct(outputs));
            return response;
        }),
        delete: unary(async (request: pb.DeleteRequest) => {
            await provider.delete({ urn: request.getUrn(), state: props(request.getProperties()) });
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

function checkResponse(inputs: Props, failures: CheckFailure[]): pb.CheckResponse {
    const response = new pb.CheckResponse();
    response.setInputs(struct(inputs));
    for (const { property, reason } of failures) {
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

function diffResponse(changed: Map<string, PropertyChange>): pb.DiffResponse {
    const response = new pb.DiffResponse();
    const changes = pb.DiffResponse.DiffChanges;
    response.setChanges(changed.size > 0 ? changes.DIFF_SOME : changes.DIFF_NONE);
    response.setReplacesList([...changed].filter(([, { replace }]) => replace).map(([path]) => path));
    response.setHasdetaileddiff(true);
    for (const [path, { kind, replace }] of changed) {
        const diff = new pb.PropertyDiff();
        diff.setKind(changeKinds[kind][replace ? 1 : 0]);
        diff.setInputdiff(true);
        response.getDetaileddiffMap().set(path, diff);
    }
    return response;
}
