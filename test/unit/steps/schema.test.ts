import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { preflightInput } from "../../../steps/host/preflightProblems";
import * as schema from "../../../steps/lib/schema";
import { parseInput } from "../../../steps/lib/step";

interface Example {
    name: string;
    count: number;
    kubeconfig: string;
    maybe?: string;
    items: string[];
    labels: Record<string, string>;
}
const example = schema.object<Example>({
    name: schema.nodeName,
    count: schema.integer(1, 9),
    kubeconfig: schema.secret(schema.text),
    maybe: schema.optional(schema.text),
    items: schema.list(schema.text),
    labels: schema.labels,
});
const good = { name: "a", count: 1, kubeconfig: "k", items: ["x"], labels: { a: "b" } };

describe("a step's input", () => {
    it("is returned as it is when it fits", () => {
        assert.deepEqual(parseInput(JSON.stringify(good), example), good);
        assert.deepEqual(parseInput(JSON.stringify({ ...good, maybe: "y" }), example), {
            ...good,
            maybe: "y",
        });
    });

    it("has all its faults told at once", () => {
        const bad = {
            name: "A_b",
            count: 10,
            kubeconfig: 7,
            maybe: "",
            items: ["x", 1],
            labels: { a: 1 },
            nmae: "a",
        };
        assert.throws(() => parseInput(JSON.stringify(bad), example), {
            message: [
                'input.nmae: is unknown; did you mean "name"?',
                'input.name: must be lower-case letters, digits, "-" and "." that begin and end with a letter or digit (for example "krustlet"), not "A_b"',
                "input.count: must be a whole number from 1 to 9, not 10",
                "input.kubeconfig: must be a text that is not empty (it is not shown)",
                'input.maybe: must be a text that is not empty, not ""',
                "input.items[1]: must be a text that is not empty, not 1",
                "input.labels.a: must be a label's value, not 1",
            ].join("\n"),
        });
    });

    it("names a field that is missing, and one that is nested", () => {
        const nodes = [{ name: "a", port: 3000, stateDir: "~/x" }];
        assert.throws(
            () =>
                parseInput(
                    JSON.stringify({ owner: "a/b", cluster: { kind: {} }, nodes, modules: [] }),
                    preflightInput,
                ),
            {
                message: [
                    'input.cluster.kind.name: is missing; it must be lower-case letters, digits, "-" and "." that begin and end with a letter or digit (for example "krustlet")',
                    "input.nodes[0].program: is missing; it must be a text that is not empty",
                ].join("\n"),
            },
        );
    });

    for (const [source, what] of [
        ["", "is empty"],
        ["{", "is no JSON"],
    ]) {
        it(`says that it ${what}, and what it must be`, () => {
            assert.throws(
                () => parseInput(source, example),
                (error: Error) => {
                    assert.ok(
                        error.message.startsWith(
                            `standard input ${what}; it must be one JSON object:\n  name: lower-case letters`,
                        ),
                    );
                    assert.ok(error.message.includes("\n  maybe (optional): a text that is not empty\n"));
                    return true;
                },
            );
        });
    }

    it("must be an object", () => {
        for (const source of ["[]", "null", '"x"']) {
            assert.throws(() => parseInput(source, example), /^StepError: input: must be an object, not /);
        }
    });

    it("never shows a secret", () => {
        const secret = { ...good, name: "A", kubeconfig: ["token-0123"] };
        assert.throws(
            () => parseInput(JSON.stringify(secret), example),
            (error: Error) => !error.message.includes("token-0123"),
        );
        assert.throws(
            () => parseInput('{"kubeconfig":"token-0123"', example),
            (error: Error) => !error.message.includes("token-0123"),
        );
    });
});

describe("a step that undoes", () => {
    const undoing = schema.stored(example, "name", "maybe");
    it("takes what an older or a newer version stored", () => {
        const stored = {
            name: "a",
            maybe: "x",
            kubeconfigText: "of an older version",
            count: "of a newer one",
        };
        assert.deepEqual(undoing(stored, "input"), []);
        assert.deepEqual(undoing({ name: "a" }, "input"), []);
    });
    it("wants what it needs all the same", () => {
        assert.deepEqual(undoing({ name: "A", maybe: 1 }, "input").length, 2);
        assert.match(undoing({}, "input")[0].message, /^is missing; it must be lower-case letters/);
        assert.equal(undoing([], "input")[0].message, "must be an object, not []");
    });
});
