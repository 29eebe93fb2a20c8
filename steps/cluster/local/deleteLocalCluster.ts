import { step } from "../../lib/step";
import { localClusterInput, localTools, takeDown } from "./localCluster";

/** Removes it again: see takeDown. */
step(module, "deleteLocalCluster", localClusterInput, async (input) => {
    await takeDown(localTools[input.tool], input);
    return {};
});
