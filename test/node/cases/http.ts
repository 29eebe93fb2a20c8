// Where a pod's containers may send HTTP requests, and connect sockets: two annotations. The same for a module and a component.
import assert from "node:assert/strict";
import { withServer, type TestServer } from "../lib/httpServer";
import { becomes, runCase, slug, type Outcome, type Story } from "../runCase";
import { underTest } from "../underTest";
import { timeOf, type World } from "../lib/world";

const ALLOWED = "alpha.wasi.krustlet.dev/allowed-domains";
const MOST = "alpha.wasi.krustlet.dev/max-concurrent-requests";

type Kind = "module" | "component";
const kinds: readonly Kind[] = ["module", "component"];

const images = (kind: Kind) => {
    const { probe, component, catFacts, catFactsComponent } = underTest().modules;
    return kind === "module"
        ? { probe: probe.image, cats: catFacts.image }
        : { probe: component.image, cats: catFactsComponent.image };
};

/** A pod that asks over HTTP. */
interface Row {
    what: string;
    annotations?: (origin: string) => Record<string, string>;
    args: (origin: string) => string[];
    log: string | RegExp;
    notes?: RegExp[];
    /** How many requests reach the server. */
    asked: number;
}

const allow = (...origins: string[]) => ({ [ALLOWED]: JSON.stringify(origins) });
const get = (origin: string) => ["get", `${origin}/fact`];
const two = (origin: string) => ["get-both", `${origin}/1`, `${origin}/2`];
const DENIED: Record<Kind, RegExp> = {
    module: /^no answer: Wasi error 7\n$/,
    component: /^no answer: .*HttpRequestDenied.*\n$/,
};

const rows = (kind: Kind): Row[] => [
    {
        what: "an allowed origin is reached",
        annotations: (origin) => allow("https://catfact.ninja", origin),
        args: get,
        log: "200 hello\n",
        asked: 1,
    },
    {
        what: "a whole URL allows its origin, with a warning",
        annotations: (origin) => allow(`${origin}/other`),
        args: get,
        log: "200 hello\n",
        notes: [/^Warning PathOfOriginIgnored: annotation .*allowed-domains: .* not the path$/],
        asked: 1,
    },
    { what: "without the annotation nothing is", args: get, log: DENIED[kind], asked: 0 },
    {
        what: "an empty list allows nothing",
        annotations: () => allow(),
        args: get,
        log: DENIED[kind],
        asked: 0,
    },
    {
        what: "another port is another origin",
        annotations: () => allow("http://127.0.0.1:9"),
        args: get,
        log: DENIED[kind],
        asked: 0,
    },
    {
        what: "another scheme is another origin",
        annotations: (origin) => allow(origin.replace("http:", "https:")),
        args: get,
        log: DENIED[kind],
        asked: 0,
    },
    {
        what: "another name of the same address is another origin",
        annotations: (origin) => allow(origin.replace("127.0.0.1", "localhost")),
        args: get,
        log: DENIED[kind],
        asked: 0,
    },
    {
        what: "of two requests at once the second is refused where one is the most",
        annotations: (origin) => ({ ...allow(origin), [MOST]: "1" }),
        args: two,
        log: /^200 hello\nno answer: .+\n$/,
        asked: 1,
    },
    {
        what: "two requests at once, where two are the most",
        annotations: (origin) => ({ ...allow(origin), [MOST]: "2" }),
        args: two,
        log: "200 hello\n200 hello\n",
        asked: 2,
    },
];

/** A connection of the program's own, to the same server. */
const connect = (origin: string, host = "127.0.0.1") => ["connect", host, new URL(origin).port];
const socket = (origin: string, host = "127.0.0.1") => `tcp://${host}:${new URL(origin).port}`;
const NOT_CONNECTED = /^not connected: .*[Pp]ermission denied.*\n$/;

/** Modules of preview 1 have no sockets. */
const socketRows: Row[] = [
    {
        what: "a socket is connected to an address that is named",
        annotations: (origin) => allow(socket(origin)),
        args: connect,
        log: "connected\n",
        asked: 0,
    },
    {
        what: "a socket is connected to a name",
        annotations: (origin) => allow(socket(origin, "localhost")),
        args: (origin) => connect(origin, "localhost"),
        log: "connected\n",
        asked: 0,
    },
    {
        what: "an origin of requests is none of sockets",
        annotations: allow,
        args: connect,
        log: NOT_CONNECTED,
        asked: 0,
    },
    {
        what: "a name allows no socket to its address",
        annotations: (origin) => allow(socket(origin, "localhost")),
        args: connect,
        log: NOT_CONNECTED,
        asked: 0,
    },
    {
        what: "another port is another place for sockets",
        annotations: () => allow("tcp://127.0.0.1:9"),
        args: connect,
        log: NOT_CONNECTED,
        asked: 0,
    },
];

const story = (kind: Kind, row: Row): Story => ({
    name: `${kind}, HTTP: ${row.what}`,
    run: (world) =>
        withServer(async ({ origin, asked }) => {
            await runCase(world, {
                name: `${kind}, http: ${row.what}`,
                annotations: row.annotations?.(origin),
                args: row.args(origin),
                main: { image: images(kind).probe },
                expect: {
                    phase: "Succeeded",
                    containers: { main: { state: "terminated Completed 0" } },
                    log: row.log,
                    notes: row.notes,
                },
            });
            assert.equal(asked.length, row.asked, `asked for ${asked.join(", ")}`);
        }),
});

/** An annotation that cannot be read, what the status says of it, and the pod once it is mended. */
const malformed: [what: string, annotations: Record<string, string>, message: RegExp][] = [
    [
        "a list with an element that is no origin",
        { [ALLOWED]: '["https://catfact.ninja", "catfact.ninja"]' },
        /^annotation alpha\.wasi\.krustlet\.dev\/allowed-domains: element 2 of the list of origins: "catfact\.ninja" is no origin/,
    ],
    [
        "a socket without a port",
        { [ALLOWED]: '["tcp://db.example"]' },
        /^annotation alpha\.wasi\.krustlet\.dev\/allowed-domains: element 1 of the list of origins: "tcp:\/\/db\.example" is no origin: it has no port/,
    ],
    [
        "no list",
        { [ALLOWED]: "https://catfact.ninja" },
        /^annotation alpha\.wasi\.krustlet\.dev\/allowed-domains: this is no JSON array of origins/,
    ],
    [
        "no number",
        { ...allow("https://catfact.ninja"), [MOST]: "many" },
        /^annotation alpha\.wasi\.krustlet\.dev\/max-concurrent-requests: "many" is no whole number from 1 to 1000$/,
    ],
];

const malformedStories = malformed.map(([what, annotations, message]): Story => ({
    name: `HTTP: ${what} keeps the pod waiting until it is mended`,
    run: (world) =>
        withServer(async ({ origin }) => {
            const name = `http: ${what}`;
            await runCase(world, {
                name,
                annotations,
                args: get(origin),
                expect: {
                    phase: "Pending",
                    containers: { main: { state: "waiting CreateContainerConfigError", message } },
                    notes: [new RegExp(`^Warning Failed: Error: ${message.source.slice(1)}`)],
                },
                then: [
                    {
                        change: [
                            {
                                kind: "Pod",
                                metadata: {
                                    name: slug(name),
                                    annotations: { ...allow(origin), [MOST]: "1" },
                                },
                            },
                        ],
                        expect: { phase: "Succeeded", log: "200 hello\n", withinSeconds: 8 },
                    },
                ],
            });
        }),
}));

const fact = (text: string) => ({ status: 200, body: JSON.stringify({ fact: text, length: text.length }) });

async function catFacts(world: World, kind: Kind, server: TestServer): Promise<void> {
    server.answer = fact("Cats have whiskers.");
    const begun = Date.now();
    const pod = await world.start(`cat-facts-${kind}`, {
        annotations: allow(server.origin),
        main: {
            image: images(kind).cats,
            args: [],
            env: [
                { name: "CAT_FACTS_URL", value: `${server.origin}/fact` },
                { name: "CAT_FACTS_INTERVAL_SECONDS", value: "1" },
                { name: "RUST_LOG", value: "info" },
                { name: "RUST_BACKTRACE", value: "1" },
            ],
        },
    });
    const says = (line: string) =>
        world.untilLog(pod, line, (log) => log.split("\n").some((one) => one.endsWith(line)));
    const log = await says("INFO  cat_facts] Cat Fact: Cats have whiskers.");
    const seconds = ((Date.now() - begun) / 1000).toFixed(2);
    const at = timeOf(/^\[(\S+)/.exec(log)?.[1]);
    assert.ok(at >= begun - 1000 && at <= Date.now() + 1000, log);
    console.log(`cat-facts as a ${kind}: first fact in the log ${seconds} s after the pod was made`);

    server.answer = { status: 500, body: "out of order" };
    await says(`ERROR cat_facts] no fact from ${server.origin}/fact: the answer has status 500, not 200`);
    server.answer = { status: 200, body: "<html>" };
    await world.untilLog(pod, "no JSON", (text) => /ERROR cat_facts\] .*the answer is no JSON/.test(text));
    server.answer = fact("Cats sleep.");
    await says("INFO  cat_facts] Cat Fact: Cats sleep.");
    const running: Outcome = { phase: "Running", containers: { main: { state: "running", restarts: 0 } } };
    await becomes(world, pod, running);
    await world.remove(pod, 0);
}

const catStories = kinds.flatMap((kind): Story[] => [
    {
        name: `${kind}: cat-facts logs facts, and goes on when there is none`,
        run: (world) => withServer((server) => catFacts(world, kind, server)),
    },
    {
        name: `${kind}: cat-facts says that it may not ask`,
        run: (world) =>
            withServer(async (server) => {
                const pod = await world.start(`cat-facts-${kind}-denied`, {
                    main: {
                        image: images(kind).cats,
                        args: [],
                        env: [{ name: "CAT_FACTS_URL", value: `${server.origin}/fact` }],
                    },
                });
                await world.untilLog(pod, "the refusal", (log) =>
                    /ERROR cat_facts\] no fact from .*: this destination is not allowed/.test(log),
                );
                assert.deepEqual(server.asked, []);
                await world.remove(pod, 0);
            }),
    },
]);

export const httpStories: readonly Story[] = [
    ...catStories,
    ...kinds.flatMap((kind) => rows(kind).map((row) => story(kind, row))),
    ...socketRows.map((row) => story("component", row)),
    ...malformedStories,
];
