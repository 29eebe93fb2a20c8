// What is said of an image that cannot be had, and when one that is there is taken.
import type { Container } from "../../lib/pod";
import type { Case, Outcome } from "../../runCase";
import { underTest } from "../../underTest";

const completed = { state: "terminated Completed 0", restarts: 0 };

/** A pod whose image does not come: first the failure and its words, then the pause before the next try. */
export function fails(
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

export const generalImageCases = (): readonly Case[] => {
    const { modules, registry } = underTest();
    const { probe } = modules;
    const of = (repository: string) => `${registry}/${repository}`;
    return [
        {
            name: "an image by digest",
            args: ["print", "x"],
            main: { image: probe.imageId },
            expect: {
                phase: "Succeeded",
                containers: { main: { ...completed, image: probe.imageId, imageId: probe.imageId } },
                log: "x\n",
            },
            // It names an image that it knows by several names by whichever its runtime has first.
            kubelet: {
                phase: "Succeeded",
                containers: { main: { ...completed, image: probe.image, imageId: probe.imageId } },
                log: "x\n",
            },
        },
        {
            name: "an image by tag and digest",
            args: ["print", "x"],
            main: { image: probe.imageId.replace("@", ":v1@") },
            expect: { phase: "Succeeded", containers: { main: { ...completed, imageId: probe.imageId } } },
        },
        {
            name: "an image that is already there is not fetched: IfNotPresent",
            args: ["print", "x"],
            main: { imagePullPolicy: "IfNotPresent" },
            expect: {
                phase: "Succeeded",
                notes: [
                    new RegExp(
                        `^Normal Pulled: Container image "${probe.image}" already present on machine and can be accessed by the pod$`,
                    ),
                ],
            },
        },
        fails("no such repository", of("absent:v1"), /not in the registry|not found|unknown/i),
        fails("no such tag", of("hello-world:absent"), /not in the registry|not found|unknown/i),
        fails("no registry there", "localhost:1/x:v1", /localhost:1/),
        waits(
            "Never and not there: ErrImageNeverPull",
            { image: of("hello-world:never"), imagePullPolicy: "Never" },
            "ErrImageNeverPull",
            /Container image "\S+" is not present with pull policy of Never/,
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
    ];
};
