// When a module is fetched, by whose leave, and what is said when it cannot be had.
import { BUSY_WORDS, scripted } from "../lib/scriptedRegistry";
import type { Container } from "../lib/pod";
import type { Case, Outcome } from "../runCase";
import { underTest } from "../underTest";
import { registryLogin } from "./objects";

const completed = { state: "terminated Completed 0", restarts: 0 };

/** A pod whose image does not come: first the failure and its words, then the pause before the next try. */
function fails(
    name: string,
    image: string,
    words: RegExp,
    more: Partial<Case> & { main?: Partial<Container> } = {},
    state: Outcome = {},
): Case {
    const { main, ...rest } = more;
    return {
        name,
        main: { image, ...main },
        expect: {
            phase: "Pending",
            conditions: { Initialized: "True", Ready: "False ContainersNotReady" },
            containers: {
                main: { state: "waiting ImagePullBackOff", message: words, restarts: 0, image, imageId: "" },
            },
            events: ["Failed", "BackOff"],
            notes: [
                new RegExp(
                    `^Warning Failed: Failed to pull image ${JSON.stringify(image)}: .*${words.source}`,
                ),
                /^Warning Failed: Error: ErrImagePull/,
                new RegExp(`^Normal BackOff: Back-off pulling image ${JSON.stringify(image)}`),
            ],
            ...state,
        },
        ...rest,
    };
}

/** A reason to wait that is not tried again and again with growing pauses. */
function waits(name: string, main: Partial<Container>, reason: string, message: RegExp): Case {
    return {
        name,
        main,
        expect: {
            phase: "Pending",
            containers: { main: { state: `waiting ${reason}`, message, restarts: 0 } },
            notes: [new RegExp(`^Warning \\w+: .*(${reason}|${message.source})`)],
        },
    };
}

export const imageCases = (): readonly Case[] => {
    const { modules, registry, privateRegistry } = underTest();
    const { probe, hello } = modules;
    const of = (repository: string) => `${registry}/${repository}`;
    const login = (name: string, password: string) =>
        registryLogin(name, privateRegistry.address, privateRegistry.username, password);
    const privately = (tag: string, registry = privateRegistry.address) => `${registry}/private:${tag}`;
    return [
        {
            name: "an image by digest",
            main: { image: hello.imageId },
            expect: {
                phase: "Succeeded",
                containers: { main: { ...completed, image: hello.imageId, imageId: hello.imageId } },
                log: "Hello, World!\n",
            },
        },
        {
            name: "an image by tag and digest",
            main: { image: hello.imageId.replace("@", ":v1@") },
            expect: { phase: "Succeeded", containers: { main: { ...completed, imageId: hello.imageId } } },
        },
        {
            name: "a module in the format of wasm-to-oci",
            main: { image: of("formats:wasm-to-oci") },
            expect: { phase: "Succeeded", log: "Hello, World!\n" },
        },
        {
            name: "an index for several platforms: the WebAssembly one is taken",
            main: { image: of("formats:index") },
            expect: { phase: "Succeeded", log: "Hello, World!\n" },
        },
        {
            name: "a module of 95 MB",
            main: { image: of("formats:large") },
            expect: { phase: "Succeeded", log: "Hello, World!\n", withinSeconds: 90 },
        },
        {
            name: "a module that is already there is not fetched: IfNotPresent",
            args: ["print", "x"],
            main: { imagePullPolicy: "IfNotPresent" },
            expect: {
                phase: "Succeeded",
                notes: [
                    new RegExp(`^Normal Pulled: Container image "${probe.image}" already present on machine`),
                ],
            },
        },
        {
            name: "a registry that is out of order for a moment",
            main: { image: scripted(`flaky/${hello.image.replace(/^[^/]*\//, "")}`) },
            expect: { phase: "Succeeded", log: "Hello, World!\n", events: ["Pulled", "Created", "Started"] },
        },
        fails("no such repository", of("absent:v1"), /not in the registry|not found|unknown/i),
        fails("no such tag", of("hello-world:absent"), /not in the registry|not found|unknown/i),
        fails("no registry there", "localhost:1/x:v1", /localhost:1/),
        fails("the registry's own words", scripted("busy/x:v1"), new RegExp(BUSY_WORDS)),
        fails(
            "plain HTTP for those registries alone that the flag names",
            `127.0.0.1:${registry.split(":")[1]}/hello-world:v1`,
            /127\.0\.0\.1/,
        ),
        fails("an artifact that is no WebAssembly", of("formats:text"), /not a WebAssembly artifact/),
        fails("a module of more than 100 MB", of("formats:too-large"), /bytes/),
        {
            name: "a layer that is no module: StartError",
            main: { image: of("formats:damaged") },
            expect: {
                phase: "Failed",
                containers: {
                    main: {
                        state: /^terminated (StartError|ContainerCannotRun) 128$/,
                        message: /not a WebAssembly module/,
                    },
                },
                notes: [/^Warning Failed: Error: .*not a WebAssembly module/],
            },
        },
        waits(
            "Never and not there: ErrImageNeverPull",
            { image: of("hello-world:never"), imagePullPolicy: "Never" },
            "ErrImageNeverPull",
            /not present with pull policy of Never/,
        ),
        waits(
            "a name that cannot be: InvalidImageName",
            { image: of("UPPER/Case:v1") },
            "InvalidImageName",
            /UPPER\/Case/,
        ),
        {
            name: "Never and there",
            args: ["print", "x"],
            main: { imagePullPolicy: "Never" },
            expect: { phase: "Succeeded", containers: { main: { ...completed, imageId: probe.imageId } } },
        },
        fails(
            "a private registry without a login",
            privately("none"),
            /credentials|[Uu]nauthorized|authentication/,
        ),
        fails(
            "imagePullSecrets with a wrong password",
            privately("wrong"),
            /credentials|[Uu]nauthorized|authentication/,
            {
                objects: [login("wrong-login", "not-it")],
                spec: { imagePullSecrets: [{ name: "wrong-login" }] },
            },
        ),
        {
            name: "imagePullSecrets",
            objects: [login("right-login", privateRegistry.password)],
            main: { image: privately("secret") },
            spec: { imagePullSecrets: [{ name: "wrong-or-missing" }, { name: "right-login" }] },
            expect: { phase: "Succeeded", log: "Hello, World!\n" },
        },
        {
            name: "the node's own login, from its docker config file",
            main: { image: privately("node", privateRegistry.knownToNode) },
            expect: { phase: "Succeeded", log: "Hello, World!\n" },
        },
    ];
};
