import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import * as rules from "../../../components/rules";
import { checkArgs, didYouMean, integer, laterCheck, list, type Rule } from "../../../components/validation";

const names = ["clusterName", "registryPort", "nodes", "workloads", "port", "kind"];
const guesses: [string, string][] = [
    ["clustername", "clusterName"],
    ["clusterNmae", "clusterName"],
    ["registryPrt", "registryPort"],
    ["node", "nodes"],
    ["workload", "workloads"],
    ["prot", "port"],
    ["knd", "kind"],
];
for (const [given, meant] of guesses) {
    test(`${given} is taken for ${meant}`, () =>
        assert.equal(didYouMean(given, names), `; did you mean "${meant}"?`));
}
test("nothing is guessed where nothing is close", () => {
    for (const given of ["colour", "x", "", "portal", 7, undefined])
        assert.equal(didYouMean(given, names), "", String(given));
});

const accepted: [string, Rule, unknown[]][] = [
    ["clusterName", rules.clusterName, ["a", "kind", "a.b-c1", "x".repeat(49)]],
    ["nodeName", rules.nodeName, ["krustlet", "edge.one", "1a", "2.wasm", "x".repeat(63)]],
    ["ipv4", rules.ipv4, ["0.0.0.0", "172.18.0.1", "255.255.255.255", "10.0.0.9"]],
    [
        "registry",
        rules.registry,
        ["localhost:5001", "ghcr.io", "GHCR.io", "10.0.0.1:80", "x:1", "x:65535", "x:9999", "x:10000"],
    ],
    ["registryWithPath", rules.registryWithPath, ["localhost:5001", "ghcr.io/you", "r.example.com:1/a/b-c"]],
    ["repository", rules.repository, ["hello", "demo/hello-wasm", "a/b__c/d.e"]],
    ["tag", rules.tag, ["latest", "v1.0", "_x"]],
    [
        "imageByDigest",
        rules.imageByDigest,
        [`localhost:5001/a/b@sha256:${"0".repeat(64)}`, `localhost:5001/hello:v1@sha256:${"a".repeat(64)}`],
    ],
    [
        "artifactReference",
        rules.artifactReference,
        [
            "ghcr.io/you/a:v1",
            `x:1/a@sha256:${"0".repeat(64)}`,
            `localhost:5001/hello:v1@sha256:${"a".repeat(64)}`,
        ],
    ],
    ["owner", rules.owner, ["p/s", "p", "a.b_c/d-e"]],
    ["bootstrapGroup", rules.bootstrapGroup, ["system:bootstrappers:a:b-c"]],
    ["sha256Hex", rules.sha256Hex, ["a".repeat(64)]],
    ["port", rules.port, [1, 65535]],
    ["kubeconfigPath", rules.kubeconfigPath, ["~/a b/c,d", "/x"]],
    ["labels", rules.labels, [{}, { zone: "a" }, { "example.com/zone": "" }]],
    ["environment", rules.environment, [{}, { RUST_LOG: "info", EMPTY: "", "2FA": "x", "my/var": "y" }]],
];
for (const [what, rule, values] of accepted) {
    test(`${what} allows what it should`, () => {
        for (const value of values) assert.deepEqual(rule(value, "x"), [], JSON.stringify(value));
    });
}
const denied: [string, Rule, unknown[]][] = [
    [
        "clusterName",
        rules.clusterName,
        ["", "A", "a_b", "-a", "a-", ".a", "a..b", "a ", "a\n", "x".repeat(50), 5, null],
    ],
    [
        "nodeName",
        rules.nodeName,
        ["", "A", "a..b", "a.", "-a", "x".repeat(64), "a\n", "1001", "wasm.2", "192.168.7.20"],
    ],
    [
        "ipv4",
        rules.ipv4,
        ["", "256.0.0.1", "1.2.3", "1.2.3.4.5", "1.2.3.4.", "01.2.3.4", "::1", "a.b.c.d", "1.2.3.4\n"],
    ],
    [
        "registry",
        rules.registry,
        [
            "",
            "http://x",
            "ghcr.io/you",
            "x:",
            "x:0",
            "localhost:99999",
            "x:65536",
            "a_b",
            "a..b",
            "-x",
            "x-:1",
        ],
    ],
    [
        "registryWithPath",
        rules.registryWithPath,
        ["ghcr.io:0", "ghcr.io:0/you", "ghcr.io/", "ghcr.io/You", "ghcr.io//a", "https://ghcr.io"],
    ],
    ["repository", rules.repository, ["", "A", "/a", "a/", "a//b", "-a", "a..b", "a_.b"]],
    ["tag", rules.tag, ["", ".a", "-a", "a b", "x".repeat(129)]],
    ["imageByDigest", rules.imageByDigest, ["a/b:v1", "a@sha256:00", `b@sha256:${"0".repeat(64)}`]],
    [
        "artifactReference",
        rules.artifactReference,
        ["ghcr.io/you/a", "a:v1", "x:0/a:v1", "x/a@sha256:0", "x/A:v1"],
    ],
    ["owner", rules.owner, ["", "/s", "p/", "p s", "p:s"]],
    [
        "bootstrapGroup",
        rules.bootstrapGroup,
        ["system:bootstrappers:", "system:masters", "system:bootstrappers:A"],
    ],
    ["sha256Hex", rules.sha256Hex, ["a".repeat(63), "A".repeat(64)]],
    ["port", rules.port, [0, 65536, "80", 1.5, null]],
    ["kubeconfigPath", rules.kubeconfigPath, ["", "/a:b"]],
    ["labels", rules.labels, [{ "a b": "c" }, { a: "-" }, { "/a": "b" }, [], "a=b"]],
    ["environment", rules.environment, [{ "": "x" }, { A: 1 }, { "A=": "b" }, { ä: "x" }]],
];
for (const [what, rule, values] of denied) {
    test(`${what} refuses what it should`, () => {
        for (const value of values) assert.equal(rule(value, "x").length, 1, JSON.stringify(value));
    });
}

test("an argument that is still to come is passed on when it is known and well", async () => {
    const args = { port: pulumi.output(5), plain: 1 };
    const later = checkArgs("Thing", "t", args, { port: integer(1, 9), plain: integer(0, 1) });
    assert.equal(later.plain, 1);
    assert.notEqual(later.port, args.port, "it is checked on its way");
    assert.equal(await new Promise((resolve) => later.port.apply(resolve)), 5);
});

test("an argument that is still to come is refused when it is known", () => {
    const check = laterCheck<number>('Thing "t"', "port", integer(1, 9));
    assert.equal(check(9), 9);
    assert.throws(() => check(0), {
        message: 'Thing "t" has 1 problem:\n  - port: must be a whole number from 1 to 9, not 0',
    });
});

test("what is still to come within an argument is passed over, the rest of it is not", () => {
    const args = { names: [pulumi.output("a"), 1 as never] };
    assert.throws(() => checkArgs("Thing", "t", args, { names: list(rules.dnsLabel) }), {
        message: /^Thing "t" has 1 problem:\n {2}- names\[1\]: must be lower-case letters.* not 1$/,
    });
});

test("a secret that is refused is not shown", () => {
    const check = laterCheck('Thing "t"', "name", rules.oneOf(["a", "b"]), true);
    assert.throws(() => check("s3cret"), {
        message: 'Thing "t" has 1 problem:\n  - name: must be one of "a", "b" (a secret, so it is not shown)',
    });
    assert.throws(
        () => laterCheck('Thing "t"', "env", rules.environment, true)({ A: 5 }),
        (error: Error) => !error.message.includes("5"),
    );
});
