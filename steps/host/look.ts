import { createRequire } from "node:module";
import { lookingSteps, stepPath, type LookAnswer, type LookInput, type LookOutput } from "../contract";
import { currentClaim } from "../lib/claim";
import { messageOf } from "../lib/errors";
import { lookForNotes } from "../lib/journal";
import { anything, list, map, object, oneOf } from "../lib/schema";
import { bodyOf, notesOf, parseInput, step } from "../lib/step";

const input = object<LookInput>({
    looks: list(
        object<LookInput["looks"][number]>({ step: oneOf([...lookingSteps]), input: map<unknown>(anything) }),
    ),
});

/** Runs steps that only look side by side in this process. One that fails is an answer like the others. */
export async function look({ looks }: LookInput): Promise<LookOutput> {
    const lost = await lookForNotes(currentClaim());
    const answers = await Promise.all(looks.map(answerOf));
    if (lost !== undefined) answers.at(0)?.notes.unshift(lost);
    return { answers };
}

async function answerOf({ step: name, input }: LookInput["looks"][number]): Promise<LookAnswer> {
    return notesOf(async () => {
        // Only those that are asked are loaded.
        createRequire(__filename)(`../${stepPath(name)}`);
        const { input: rule, body } = bodyOf(name);
        try {
            return { output: await body(parseInput(JSON.stringify(input), rule)) };
        } catch (error) {
            return { error: `${name}: ${messageOf(error)}` };
        }
    });
}

step(module, "look", input, look);
