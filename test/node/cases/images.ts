// When a module is fetched, by whose leave, and what is said when it cannot be had.
import { BUSY_WORDS, scripted } from "../lib/scriptedRegistry";
import type { Case } from "../runCase";
import { underTest } from "../underTest";
import { fails } from "./kubelet/images";
import { registryLogin } from "./objects";

export const imageCases = (): readonly Case[] => {
    const { modules, registry, privateRegistry } = underTest();
    const { hello } = modules;
    const of = (repository: string) => `${registry}/${repository}`;
    const login = (name: string, password: string) =>
        registryLogin(name, privateRegistry.address, privateRegistry.username, password);
    const privately = (tag: string, registry = privateRegistry.address) => `${registry}/private:${tag}`;
    return [
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
            name: "a registry that is out of order for a moment",
            main: { image: scripted(`flaky/${hello.image.replace(/^[^/]*\//, "")}`) },
            expect: { phase: "Succeeded", log: "Hello, World!\n", events: ["Pulled", "Created", "Started"] },
        },
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
