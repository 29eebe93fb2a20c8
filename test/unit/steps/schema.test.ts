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
    kubeconfig: schema.secret,
    maybe: schema.optional(schema.text),
    items: schema.list(schema.text),
    labels: schema.textMap,
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
                "input.nmae: no such field; known are name, count, kubeconfig, maybe, items, labels",
                "input.name: \"A_b\" does not fit; it must be a node name: at most 63 lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit",
                "input.count: 10 does not fit; it must be a whole number from 1 to 9",
                "input.kubeconfig: the value does not fit; it must be a text that is not empty (a secret, so it is not shown)",
                'input.maybe: "" does not fit; it must be a text that is not empty',
                "input.items[1]: 1 does not fit; it must be a text that is not empty",
                'input.labels["a"]: 1 is no text',
            ].join("\n"),
        });
    });

    it("names a field that is missing, and one that is nested", () => {
        const nodes = [{ name: "a", port: 3000, stateDir: "~/x" }];
        assert.throws(
            () =>
                parseInput(JSON.stringify({ owner: "a/b", cluster: {}, nodes, modules: [] }), preflightInput),
            {
                message: [
                    "input.cluster.name: missing; it must be a text that is not empty",
                    "input.nodes[0].program: missing; it must be a text that is not empty",
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
                            `standard input ${what}; it must be one JSON object:\n  name: a node name`,
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
            assert.throws(
                () => parseInput(source, example),
                /^StepError: input: .* does not fit; it must be an object of name, /,
            );
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

describe("single checks", () => {
    const cases: [string, schema.Check<never>, unknown[], unknown[]][] = [
        [
            "node name",
            schema.nodeName as schema.Check<never>,
            ["a", "a-b.c1", "x".repeat(63)],
            ["", "-a", "a-", "a..b", "A", "a_b", "x".repeat(64), 1],
        ],
        [
            "IPv4",
            schema.ipv4 as schema.Check<never>,
            ["172.18.0.1", "0.0.0.0", "255.255.255.255"],
            ["1.2.3", "1.2.3.4.", "1.2.3.256", "::1", "1.2.3.4.5", "01.2.3.4"],
        ],
        [
            "owner",
            schema.owner as schema.Check<never>,
            ["p/s", "p", "a.b_c/d-e"],
            ["", "/s", "p/", "p s", "p:s"],
        ],
        [
            "registry",
            schema.registry as schema.Check<never>,
            ["ghcr.io", "localhost:5000"],
            ["", "http://x", "a/b", "x:", "-a"],
        ],
        [
            "group",
            schema.bootstrapGroup as schema.Check<never>,
            ["system:bootstrappers:a:b-c"],
            ["system:bootstrappers:", "system:masters", "system:bootstrappers:A"],
        ],
        [
            "SHA-256",
            schema.sha256Hex as schema.Check<never>,
            ["a".repeat(64)],
            ["a".repeat(63), "A".repeat(64)],
        ],
        ["port", schema.port as schema.Check<never>, [1, 65535], [0, 65536, "80", 1.5, null]],
        ["process", schema.processId as schema.Check<never>, [1], [0, -1]],
        ["flag", schema.flag as schema.Check<never>, [true, false], ["true", 0, null]],
    ];
    for (const [what, check, good, bad] of cases) {
        it(what, () => {
            for (const value of good) assert.deepEqual(check.faults(value, "x"), [], JSON.stringify(value));
            for (const value of bad) assert.equal(check.faults(value, "x").length, 1, JSON.stringify(value));
        });
    }
});
