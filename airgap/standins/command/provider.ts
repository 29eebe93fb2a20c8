// The command plugin's `local.Command` and `local.run`, as release 1.2.1 serves them.
import { randomBytes } from "node:crypto";
import { standInNotice, type EngineLog } from "../lib/engine";
import type {
    CheckInput,
    CheckResult,
    CreateInput,
    DeleteInput,
    DiffInput,
    DiffResult,
    PropertyChange,
    Provider,
    ReadInput,
    ReadResult,
    UpdateInput,
} from "../lib/provider";
import { nameOf, typeOf } from "../lib/urn";
import {
    containsSecret,
    equal,
    secret,
    unknownSentinel,
    unwrapProps,
    type Props,
    type Value,
} from "../lib/values";
import { execute, killAll, type Output } from "./execute";

const commandToken = "command:local:Command";
const runToken = "command:local:run";

const baseInputs = ["addPreviousOutputInEnv", "dir", "environment", "interpreter", "logging", "stdin"];
const commandInputs = [...baseInputs, "create", "delete", "triggers", "update"];
const runInputs = [...baseInputs, "command"];
/** Arguments of the official plugin that return files: nothing here uses them. */
const unserved = ["archivePaths", "assetPaths"];

function unknownInputs(inputs: Props, known: string[]): { property: string; reason: string }[] {
    return Object.keys(inputs)
        .filter((property) => !known.includes(property) && !property.startsWith("__"))
        .map((property) => ({
            property,
            reason: unserved.includes(property)
                ? `the air-gapped stand-in of the command plugin does not serve ${property}`
                : `unknown argument; there are: ${known.join(", ")}`,
        }));
}

function text(value: Value | undefined): string {
    return typeof value === "string" ? value : "";
}

export class CommandProvider implements Provider {
    constructor(
        readonly version: string,
        private readonly log: EngineLog,
    ) {}

    attach(engineAddress: string): void {
        this.log.attach(engineAddress);
    }

    checkConfig(_urn: string, news: Props): Promise<CheckResult> {
        return Promise.resolve({ inputs: news });
    }

    diffConfig(): Promise<DiffResult> {
        return Promise.resolve({ changed: false });
    }

    async configure(): Promise<void> {
        await standInNotice(this.log, `pulumi-resource-command ${this.version}`);
    }

    check({ urn, news }: CheckInput): Promise<CheckResult> {
        const type = typeOf(urn);
        if (type !== commandToken) {
            throw new Error(
                `the air-gapped stand-in of the command plugin serves ${commandToken} only, not ${type}`,
            );
        }
        return Promise.resolve({ inputs: news, failures: unknownInputs(news, commandInputs) });
    }

    diff({ oldInputs, news, ignoreChanges }: DiffInput): Promise<DiffResult> {
        const details = new Map<string, PropertyChange>();
        for (const property of commandInputs) {
            const before = oldInputs[property];
            const after = news[property];
            if (ignoreChanges.includes(property) || equal(before, after)) continue;
            const kind = before === undefined ? "add" : after === undefined ? "delete" : "update";
            details.set(property, { kind, replace: property === "triggers", inputDiff: true });
        }
        return Promise.resolve({
            changed: details.size > 0,
            details,
            replaces: details.has("triggers") ? ["triggers"] : [],
        });
    }

    async create({ urn, inputs, preview }: CreateInput): Promise<{ id: string; outputs: Props }> {
        const name = nameOf(urn);
        const id = `${name}${randomBytes(4).toString("hex")}`;
        return { id, outputs: await this.run(urn, "create", inputs, { stdout: "", stderr: "" }, preview) };
    }

    update({ urn, olds, news, preview }: UpdateInput): Promise<Props> {
        return this.run(
            urn,
            news.update === undefined ? "create" : "update",
            news,
            this.output(olds),
            preview,
        );
    }

    async delete({ urn, state }: DeleteInput): Promise<void> {
        if (state.delete === undefined) return;
        const plain = unwrapProps(state);
        await execute(text(plain.delete), plain, this.output(state), this.toStatus(urn));
    }

    read({ id, state, inputs }: ReadInput): Promise<ReadResult> {
        // A command has no state of its own to look at.
        return Promise.resolve({ id, state, inputs });
    }

    async invoke(token: string, args: Props): Promise<Props> {
        if (token !== runToken) {
            throw new Error(
                `the air-gapped stand-in of the command plugin serves ${runToken} only, not ${token}`,
            );
        }
        const faults = unknownInputs(args, runInputs);
        if (faults.length > 0) throw new Error(faults.map((f) => `${f.property}: ${f.reason}`).join("; "));
        const plain = unwrapProps(args);
        const output = await execute(
            text(plain.command),
            plain,
            { stdout: "", stderr: "" },
            this.toStatus(""),
        );
        return { ...args, ...this.marked(output, args) };
    }

    cancel(): void {
        killAll();
    }

    private output(state: Props): Output {
        const plain = unwrapProps(state);
        return { stdout: text(plain.stdout), stderr: text(plain.stderr) };
    }

    /** Whatever may come from a secret input is secret too. */
    private marked(output: Output, inputs: Props): Props {
        const mark = (value: string): Value => (containsSecret(inputs) ? secret(value) : value);
        return { stdout: mark(output.stdout), stderr: mark(output.stderr) };
    }

    private async run(
        urn: string,
        which: "create" | "update",
        inputs: Props,
        previous: Output,
        preview: boolean,
    ): Promise<Props> {
        if (preview) {
            return {
                ...inputs,
                ...this.marked({ stdout: unknownSentinel, stderr: unknownSentinel }, inputs),
            };
        }
        if (inputs[which] === undefined) return { ...inputs, ...this.marked(previous, inputs) };
        const plain = unwrapProps(inputs);
        const output = await execute(text(plain[which]), plain, previous, this.toStatus(urn));
        return { ...inputs, ...this.marked(output, inputs) };
    }

    private toStatus(urn: string): (line: string) => void {
        return (line) => void this.log.status("info", urn, line);
    }
}
