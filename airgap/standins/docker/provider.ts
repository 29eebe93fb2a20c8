// The provider: each call of the engine, for any of the resource types.
import { createHash, randomBytes } from "node:crypto";
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
import type { Props, Value } from "../lib/values";
import {
    containsSecret,
    equal,
    mapProps,
    secret,
    textAt,
    unknownSentinel,
    unwrap,
    unwrapProps,
} from "../lib/values";
import { nameOf, typeOf } from "../lib/urn";
import { Docker } from "./api";
import { container } from "./container";
import { remoteImage } from "./image";
import { network } from "./network";
import { defaultsKey, diffArgs, faults, withDefaults, withoutDefaultsKey } from "./schema";
import { checkSettings, defaultHost, readSettings } from "./settings";
import { IncompleteError, type Live, type ResourceType } from "./types";
import { volume } from "./volume";

const types: Record<string, ResourceType> = {
    "docker:index/container:Container": container,
    "docker:index/remoteImage:RemoteImage": remoteImage,
    "docker:index/network:Network": network,
    "docker:index/volume:Volume": volume,
};

/** Where Pulumi's bridge records the version of the state's shape. */
const metaKey = "__meta";

export class DockerProvider implements Provider {
    private docker = new Docker({ host: defaultHost(), registryAuth: [] });

    constructor(
        readonly version: string,
        private readonly log: EngineLog,
    ) {}

    attach(engineAddress: string): void {
        this.log.attach(engineAddress);
    }

    cancel(): void {
        // Each request to the daemon is short; the engine ends the process.
    }

    checkConfig(_urn: string, news: Props): Promise<CheckResult> {
        return Promise.resolve(checkSettings(news));
    }

    diffConfig(olds: Props, news: Props): Promise<DiffResult> {
        const keys = [...new Set([...Object.keys(olds), ...Object.keys(news)])];
        const plain = (value: Value | undefined): Value | undefined =>
            value === undefined ? undefined : unwrap(value);
        const diffs = keys.filter(
            (key) => !key.startsWith("__") && !equal(plain(olds[key]), plain(news[key])),
        );
        return Promise.resolve({ changed: diffs.length > 0, diffs });
    }

    async configure(args: Map<string, string>): Promise<void> {
        this.docker = new Docker(readSettings(args));
        await standInNotice(this.log, "resource plugin docker");
    }

    invoke(token: string): Promise<Props> {
        return Promise.reject(
            new Error(`the air-gapped stand-in of the docker plugin does not serve the function ${token}`),
        );
    }

    check(input: CheckInput): Promise<CheckResult> {
        const token = typeOf(input.urn);
        const type = typeByToken(token);
        const news = withDefaults(type.fields, input.news);
        if (type.autonamed && news.name === undefined) {
            const recorded = input.olds[defaultsKey];
            const wasAutonamed = Array.isArray(recorded) && recorded.includes("name");
            const kept = wasAutonamed ? textAt(input.olds, "name") : "";
            if (kept === "" && input.autonaming?.mode === "disable") {
                return Promise.reject(
                    new Error("autonaming is disabled, resource requires the name argument to be set"),
                );
            }
            news.name =
                kept ||
                input.autonaming?.proposedName ||
                `${nameOf(input.urn)}-${randomSuffix(input.randomSeed)}`;
            news[defaultsKey] = [...(news[defaultsKey] as string[]), "name"].sort();
        }
        return Promise.resolve({ inputs: news, failures: faults(token, type.fields, news) });
    }

    diff(input: DiffInput): Promise<DiffResult> {
        const type = typeByToken(typeOf(input.urn));
        const details = diffArgs(type.fields, input.olds, input.oldInputs, input.news);
        for (const ignored of input.ignoreChanges) {
            details.delete(ignored.split(/[.[]/)[0]);
        }
        const replaces = [...details].filter(([, change]) => change.replace).map(([name]) => name);
        const defaulted = input.news[defaultsKey];
        const named = type.autonamed && !(Array.isArray(defaulted) && defaulted.includes("name"));
        const sameName = equal(unwrap(input.olds.name ?? null), unwrap(input.news.name ?? null));
        return Promise.resolve({
            changed: details.size > 0,
            details,
            replaces,
            deleteBeforeReplace: replaces.length > 0 && (type.deleteBeforeReplace || (named && sameName)),
        });
    }

    async create(input: CreateInput): Promise<{ id: string; outputs: Props }> {
        const type = typeByToken(typeOf(input.urn));
        const args = withoutDefaultsKey(input.inputs);
        if (input.preview) {
            const unknown = [...type.computed, ...computedArgs(type, args)].map((name) => [
                name,
                unknownSentinel,
            ]);
            return {
                id: "",
                outputs: { ...previewArgs(type, args), ...(Object.fromEntries(unknown) as Props) },
            };
        }
        try {
            const live = await type.create(this.docker, unwrapProps(args));
            return { id: live.id, outputs: record(type, live, args) };
        } catch (err) {
            if (err instanceof IncompleteError) {
                throw new InitError(err.live.id, err.message, [err.message], record(type, err.live, args));
            }
            throw err;
        }
    }

    async update(input: UpdateInput): Promise<Props> {
        const type = typeByToken(typeOf(input.urn));
        const args = withoutDefaultsKey(input.news);
        if (input.preview) {
            return { ...input.olds, ...args };
        }
        const olds = unwrapProps(input.olds);
        const news = unwrapProps(args);
        const changed = new Set(diffArgs(type.fields, olds, {}, news).keys());
        await type.update?.(this.docker, input.id, olds, news, changed);
        const live = await type.read(this.docker, input.id, news);
        if (live === undefined) {
            throw new Error(`${input.id} is gone; run pulumi refresh to have it made anew`);
        }
        return record(type, live, args);
    }

    async read(input: ReadInput): Promise<ReadResult | undefined> {
        const type = typeByToken(typeOf(input.urn));
        const state = withoutDefaultsKey(input.state);
        const imported = Object.keys(input.inputs).length === 0;
        const known = imported ? importHints(typeOf(input.urn), input.id) : unwrapProps(state);
        const live = await type.read(this.docker, input.id, known);
        if (live === undefined) {
            return undefined;
        }
        const outputs = record(type, live, imported ? known : state);
        const inputs = imported
            ? withDefaults(
                  type.fields,
                  Object.fromEntries(Object.entries(outputs).filter(([name]) => name in type.fields)),
              )
            : mapProps(input.inputs, (value, name) =>
                  name in type.fields && name in outputs && !sameGiven(type, name, value, outputs[name])
                      ? outputs[name]
                      : value,
              );
        return { id: live.id, state: outputs, inputs };
    }

    async delete(input: DeleteInput): Promise<void> {
        const type = typeByToken(typeOf(input.urn));
        await type.delete(this.docker, input.id, unwrapProps(withoutDefaultsKey(input.state)));
    }
}

function typeByToken(token: string): ResourceType {
    const type = types[token];
    if (type === undefined) {
        throw new Error(`the air-gapped stand-in of the docker plugin does not serve the type ${token}`);
    }
    return type;
}

/** What an import knows before it has read anything: an image's id ends in its name. */
function importHints(token: string, id: string): Props {
    return token.endsWith(":RemoteImage") ? { name: id.replace(/^sha256:[0-9a-f]{64}/, "") } : {};
}

function sameGiven(type: ResourceType, name: string, given: Value, read: Value): boolean {
    return diffArgs({ [name]: type.fields[name] }, { [name]: read }, {}, { [name]: given }).size === 0;
}

/** Arguments that Docker fills in and that are not given. */
function computedArgs(type: ResourceType, args: Props): string[] {
    return Object.entries(type.fields)
        .filter(([name, field]) => field.computed && args[name] === undefined)
        .map(([name]) => name);
}

/** The arguments as outputs of a preview: what Docker fills in inside them is not known yet. */
function previewArgs(type: ResourceType, args: Props): Props {
    return mapProps(args, (value, name) => {
        const inner = type.fields[name]?.fields;
        if (inner === undefined || !Array.isArray(value)) {
            return value;
        }
        return value.map((element) => {
            if (typeof element !== "object" || element === null || Array.isArray(element)) return element;
            const missing = Object.entries(inner).filter(
                ([key, field]) => field.computed && element[key] === undefined,
            );
            return { ...element, ...Object.fromEntries(missing.map(([key]) => [key, unknownSentinel])) };
        });
    });
}

/** The state to record: what Docker tells, what was given otherwise, and secrets where they were given. */
function record(type: ResourceType, live: Live, args: Props): Props {
    const given = Object.fromEntries(
        Object.entries(args).filter(([name]) => name in type.fields || type.computed.includes(name)),
    );
    const outputs: Props = { ...given, ...live.outputs };
    const marked = mapProps(outputs, (value, name) =>
        args[name] !== undefined && containsSecret(args[name]) ? secret(unwrap(value)) : value,
    );
    return type.schemaVersion === 0
        ? marked
        : { ...marked, [metaKey]: JSON.stringify({ schema_version: String(type.schemaVersion) }) };
}

/** Seven hexadecimal digits; the same ones for the same seed. */
function randomSuffix(seed: Uint8Array): string {
    const bytes = seed.length > 0 ? createHash("sha512").update(seed).digest() : randomBytes(4);
    return bytes.toString("hex").slice(0, 7);
}
